"""The engine's processes as they are now."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from shared import cluster
from shared.config import Settings
from tools.supervisor import broker, guardian, plan, records
from tools.supervisor.supervisor import NAME as SUPERVISOR


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One engine process. `state` is running, starting, resting (it starts when it is called) or stopped.

    One that does not run has pid, uptime and memory 0.
    """

    name: str
    pid: int
    state: str
    uptime_s: float
    memory_bytes: int
    """Proportional set size: shared pages count by share, so that the sum over processes is what they cost."""


def names(settings: Settings) -> list[str]:
    """All processes an engine with these settings consists of."""
    members = plan.members(not settings.nats_url, cluster.role(settings.state_path), settings.replaced)
    return [SUPERVISOR, guardian.NAME, *(member.name for member in members)]


def processes(settings: Settings) -> list[Process]:
    """What runs, in starting order. A supervisor that somebody else looks after, such as systemd, has no guardian."""
    where = records.folder(settings)
    found = {name: records.read(where, name) for name in names(settings)}
    if found[SUPERVISOR] and not found[guardian.NAME]:
        del found[guardian.NAME]
    return [_process(settings, name, record) for name, record in found.items()]


def services_ready(settings: Settings) -> bool:
    """Whether the gateway and all engine services have said that they serve, or rest."""
    where = records.folder(settings)
    ours = [name for name in (*plan.SERVICES, plan.GATEWAY) if name not in settings.replaced]
    found = (records.read(where, name) for name in ours)
    return all(records.serves(record) for record in found)


def unready(all_processes: Iterable[Process]) -> list[str]:
    """The names of those that nobody can call."""
    return [process.name for process in all_processes if process.state not in ("running", "resting")]


def proportional_set_size(pid: int) -> int:
    """Bytes of memory of a process, 0 when it is gone; see proc_pid_smaps(5)."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _process(settings: Settings, name: str, record: records.Record | None) -> Process:
    if record is None or not records.alive(record):
        state = "resting" if record and record.resting and records.serves(record) else "stopped"
        return Process(name=name, pid=0, state=state, uptime_s=0.0, memory_bytes=0)
    up = float(Path("/proc/uptime").read_text().split()[0]) - record.started / os.sysconf("SC_CLK_TCK")
    return Process(
        name=name,
        pid=record.pid,
        state="running" if record.ready or _serves(settings, name) else "starting",
        uptime_s=round(max(up, 0.0), 2),
        memory_bytes=proportional_set_size(record.pid),
    )


def _serves(settings: Settings, name: str) -> bool:
    """For those who cannot say so themselves: a guardian always, a broker when it accepts connections."""
    if name in (guardian.NAME, plan.HUB):
        return True
    port = settings.state_path / "broker" / "port"
    return name == plan.BROKER and port.exists() and broker.accepts(int(port.read_text()))
