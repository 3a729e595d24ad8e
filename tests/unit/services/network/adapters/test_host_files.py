"""Small files below run_dir."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.network.adapters import host_files
from services.network.adapters.host_files import ContainerFiles, Records
from services.network.domain.sandboxes import SandboxRecord
from shared.contracts.network import Sandbox

RECORD = SandboxRecord(sandbox=Sandbox(container_id="c1", sandbox_id="s1"), container_name="web")


@pytest.fixture
def records(tmp_path: Path) -> Records:
    made = Records(tmp_path / "sandboxes")
    made.open()
    return made


def test_records_are_found_again(records: Records) -> None:
    records.write(RECORD)
    records.write(RECORD)
    assert records.load() == (RECORD,)
    records.remove("c1")
    records.remove("c1")
    assert records.load() == ()


def test_what_a_full_disk_cut_short_is_taken_away(records: Records, tmp_path: Path) -> None:
    records.write(RECORD)
    (tmp_path / "sandboxes" / "c2.json").write_bytes(b'{"sandbox":')
    (tmp_path / "sandboxes" / "c3.new").write_bytes(b"")
    assert records.load() == (RECORD,)
    assert [path.name for path in (tmp_path / "sandboxes").iterdir()] == ["c1.json"]


def test_files_of_a_container_keep_their_inode(tmp_path: Path) -> None:
    files = ContainerFiles(tmp_path / "containers")
    files.open()
    contents = {"hosts": "long content\n", "resolv.conf": "", "hostname": "web\n"}
    files.write("c1", contents)
    paths = files.paths("c1")
    assert set(paths) == {"/etc/hosts", "/etc/resolv.conf", "/etc/hostname"}
    before = Path(paths["/etc/hosts"]).stat()
    assert before.st_mode & 0o777 == 0o644
    files.write("c1", {"hosts": "short\n"})
    after = Path(paths["/etc/hosts"])
    assert after.stat().st_ino == before.st_ino
    assert after.read_text() == "short\n"
    files.remove("c1")
    files.remove("c1")
    assert not after.exists()


def test_a_stub_resolver_is_looked_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub, real = tmp_path / "stub", tmp_path / "real"
    monkeypatch.setattr(host_files, "RESOLV_CONF", stub)
    monkeypatch.setattr(host_files, "RESOLVED_CONF", real)
    assert host_files.host_resolv_conf() == ""
    stub.write_text("nameserver 127.0.0.53\n")
    assert host_files.host_resolv_conf() == "nameserver 127.0.0.53\n"
    real.write_text("nameserver 10.0.0.1\n")
    assert host_files.host_resolv_conf() == "nameserver 10.0.0.1\n"
    stub.write_text("nameserver 127.0.0.53\nnameserver 9.9.9.9\n")
    assert host_files.host_resolv_conf().endswith("9.9.9.9\n")


def test_the_hosts_own_files() -> None:
    own = host_files.own_files()
    assert own.hosts == Path("/etc/hosts").read_text()
    assert own.hostname
