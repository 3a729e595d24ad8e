import os
import select

import msgspec
import pytest

from shared.config import Settings
from tests.support.process import running
from tools.supervisor import records


@pytest.fixture
def sleeper():
    with running(["sleep", "1000"]) as process:
        yield process


def record_of(pid: int, **changes: object) -> records.Record:
    own = records.Record(name="x", pid=pid, started=records.start_ticks(pid) or 0, boot=records.boot_id())
    return msgspec.structs.replace(own, **changes)


def test_what_is_written_is_read_until_it_is_removed(tmp_path):
    record = records.of_this_process("gateway", ready=True)
    records.write(tmp_path, record)
    assert records.read(tmp_path, "gateway") == record
    assert os.listdir(tmp_path) == ["gateway.json"]
    records.remove(tmp_path, "gateway")
    assert records.read(tmp_path, "gateway") is None


def test_a_damaged_record_counts_as_none(tmp_path):
    (tmp_path / "x.json").write_text('{"name": "x", "pid": ')
    assert records.read(tmp_path, "x") is None


def test_the_folder_is_made_and_closed_to_others(tmp_path):
    folder = records.make_folder(Settings(run_dir=str(tmp_path / "run")))
    assert folder.stat().st_mode & 0o7777 == 0o710


def test_alive_means_this_very_process(sleeper):
    assert records.alive(record_of(sleeper.pid))
    assert not records.alive(record_of(sleeper.pid, started=1))
    assert not records.alive(record_of(sleeper.pid, boot="another"))


def test_a_dead_process_is_not_alive_even_before_somebody_waits_for_it(sleeper):
    record = record_of(sleeper.pid)
    descriptor = records.open_pidfd(record)
    assert descriptor is not None
    sleeper.kill()
    assert select.select([descriptor], [], [], 10)[0]
    os.close(descriptor)
    assert not records.alive(record)
    assert records.open_pidfd(record) is None


def test_no_descriptor_of_somebody_who_took_the_number(sleeper):
    assert records.open_pidfd(record_of(sleeper.pid, started=1)) is None
