"""The folder of a workload or exec: what must be found again after the platform's own death.

`<run_dir>/platform/workloads/<id>/`: `record.json` (written once the monitor is up), `config.json`, the
monitor's fifos and attach socket, and when it ended `exit` (its code) and `oom`. Execs lie in `execs/<exec id>/`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

RECORD = "record.json"


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the platform keeps of a workload (or exec: `exec_id`) on disk."""

    id: str
    exec_id: str = ""
    pid: int
    pid_start: int
    """Start time of the process in clock ticks since boot: tells it from a later one with the same pid."""
    monitor: int
    monitor_start: int
    runtime: str
    cgroup: str = ""
    log_path: str = ""
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False
    started_at: int = 0
    shm: str = ""
    shim: bool = False
    """An exec that the shim made: it is the monitor of several."""


def write_record(folder: Path, record: Record) -> None:
    """In one step: a reader sees the former record or this one."""
    temporary = folder / f".{RECORD}"
    temporary.write_bytes(msgspec.json.encode(record))
    os.rename(temporary, folder / RECORD)


def records(parent: Path) -> Iterator[tuple[Path, Record | None]]:
    """All bundles below `parent`; None where the platform died before the record was written."""
    for folder in sorted(parent.iterdir()) if parent.is_dir() else ():
        try:
            yield folder, msgspec.json.decode((folder / RECORD).read_bytes(), type=Record)
        except (OSError, msgspec.DecodeError):
            yield folder, None


def exit_status(folder: Path) -> tuple[int, int] | None:
    """Exit code and time in nanoseconds, once the monitor has written them."""
    try:
        with open(folder / "exit", "rb") as file:
            return int(file.read()), os.fstat(file.fileno()).st_mtime_ns
    except (OSError, ValueError):
        return None


def pid(folder: Path) -> int:
    """The pid that the runtime has written, 0 before."""
    try:
        return int((folder / "pidfile").read_bytes())
    except (OSError, ValueError):
        return 0


def oom_killed(folder: Path) -> bool:
    """Whether the kernel ended a process of it for want of memory."""
    return (folder / "oom").exists()


def remove(folder: Path) -> None:
    """Removes a bundle; one that is not there is none the worse."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
