"""What is kept on disk of a workload."""

from __future__ import annotations

from pathlib import Path

from services.platform.adapters import bundle

RECORD = bundle.Record(id="c", pid=1, pid_start=2, monitor=3, monitor_start=4, runtime="crun", tty=True)


def test_a_record_is_found_again(directory: Path) -> None:
    (directory / "c").mkdir()
    bundle.write_record(directory / "c", RECORD)
    assert list(bundle.records(directory)) == [(directory / "c", RECORD)]


def test_a_bundle_without_a_whole_record_is_told_apart(directory: Path) -> None:
    for name, text in (("a", ""), ("b", '{"id": "b"'), ("c", "[]")):
        (directory / name).mkdir()
        (directory / name / bundle.RECORD).write_text(text)
    (directory / "d").mkdir()
    assert [record for _, record in bundle.records(directory)] == [None] * 4
    assert list(bundle.records(directory / "nowhere")) == []


def test_the_exit_code_counts_once_it_is_whole(directory: Path) -> None:
    assert bundle.exit_status(directory) is None
    (directory / "exit").write_text("")
    assert bundle.exit_status(directory) is None
    (directory / "exit").write_text("137")
    code, at = bundle.exit_status(directory) or (0, 0)
    assert code == 137
    assert at == (directory / "exit").stat().st_mtime_ns


def test_the_oom_mark(directory: Path) -> None:
    assert not bundle.oom_killed(directory)
    (directory / "oom").touch()
    assert bundle.oom_killed(directory)


def test_the_pid_as_the_runtime_wrote_it(directory: Path) -> None:
    assert bundle.pid(directory) == 0
    (directory / "pidfile").write_text("4711")
    assert bundle.pid(directory) == 4711


def test_removing_is_idempotent(directory: Path) -> None:
    folder = directory / "c"
    folder.mkdir()
    bundle.write_record(folder, RECORD)
    bundle.remove(folder)
    bundle.remove(folder)
    assert not folder.exists()
