"""Who runs: one small file per engine process, and whether that very process is still alive.

A process number can be used again; together with the boot and the start time in clock ticks it cannot.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from shared import resting
from shared.config import Settings

TICKS = os.sysconf("SC_CLK_TCK")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One engine process: `started` is in clock ticks since boot, `ready` whether it has said that it serves.

    `resting`: it has ended because it had nothing to do, and another one starts when it is called (`shared.resting`).
    """

    name: str
    pid: int
    started: int
    boot: str
    ready: bool = False
    resting: bool = False


def folder(settings: Settings) -> Path:
    """Where the records are."""
    return resting.records(settings)


def make_folder(settings: Settings) -> Path:
    """Makes the folder of the records when it is missing."""
    path = folder(settings)
    path.mkdir(parents=True, exist_ok=True, mode=0o710)
    return path


def of_this_process(name: str, ready: bool = False, resting: bool = False) -> Record:
    """The record of the calling process; it stays true through exec."""
    pid = os.getpid()
    return Record(name=name, pid=pid, started=start_ticks(pid) or 0, boot=boot_id(), ready=ready, resting=resting)


def write(where: Path, record: Record) -> None:
    """Replaces the record of this name, atomically."""
    temporary = where / f".{record.name}.{os.getpid()}"
    temporary.write_bytes(msgspec.json.encode(record))
    os.replace(temporary, where / f"{record.name}.json")


def read(where: Path, name: str) -> Record | None:
    """The record of this name; None when there is none that can be read."""
    try:
        return msgspec.json.decode((where / f"{name}.json").read_bytes(), type=Record)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None


def remove(where: Path, name: str) -> None:
    """Forgets a process that was ended on purpose."""
    (where / f"{name}.json").unlink(missing_ok=True)


def alive(record: Record) -> bool:
    """Whether the process of the record still runs (a dead one nobody has waited for does not)."""
    return record.boot == boot_id() and start_ticks(record.pid) == record.started


def serves(record: Record | None) -> bool:
    """Whether it is there for whoever calls: it is ready, or rests since this boot."""
    if record is None:
        return False
    return record.boot == boot_id() if record.resting else record.ready and alive(record)


def open_pidfd(record: Record) -> int | None:
    """A descriptor of exactly this process, readable once it ends; None when it has ended."""
    try:
        descriptor = os.pidfd_open(record.pid)
    except (ProcessLookupError, ValueError):
        return None
    if alive(record):
        return descriptor
    os.close(descriptor)
    return None


def start_ticks(pid: int) -> int | None:
    """When a process started (proc_pid_stat(5), field 22); None when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def boot_id() -> str:
    """The kernel's name for the time since it started."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
