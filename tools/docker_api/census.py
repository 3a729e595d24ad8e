"""What an engine holds of the host and of the broker: counted before and after, it shows what leaks."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from services.network.adapters.nftables import Nftables
from shared.config import Settings
from shared.contracts import CONTRACTS
from shared.contracts.base import BUCKET
from shared.service import connect
from shared.state.replay import replay
from shared.state.store import removed
from tools.bench.processes import ProcessSet
from tools.shoal.processes import proportional_set_size
from tools.supervisor import plan, records

Counts = dict[str, int]
CGROUPS = Path("/sys/fs/cgroup")
SETTLE_SECONDS = 20.0
"""The kernel and the engine's own upkeep end some things a moment later (veths, namespaces kept ready)."""
MEMORY = "memory"
"""Names of these counts begin so; kB, shared pages counted by share."""
_NOT_COUNTED = frozenset(("broker", "log"))
"""Folders of the state folder whose files come and go by themselves."""


def take(settings: Settings) -> Counts:
    """The counts now. Must run in the engine's network namespace (links, rules, broker)."""
    counts = {**_processes(settings), **_host(settings), **asyncio.run(_broker(settings))}
    return dict(sorted(counts.items()))


def _processes(settings: Settings) -> Counts:
    folder = records.folder(settings)
    found = {name: records.read(folder, name) for name in (*plan.SERVICES, plan.GATEWAY, "broker", "supervisor")}
    alive = {name: record.pid for name, record in found.items() if record and records.alive(record)}
    counts = {f"descriptors of {name}": _entries(Path(f"/proc/{pid}/fd")) for name, pid in alive.items()}
    counts |= {f"threads of {name}": _entries(Path(f"/proc/{pid}/task")) for name, pid in alive.items()}
    counts |= {f"mounts seen by {name}": _mounts(settings, str(pid)) for name, pid in alive.items()}
    engine = ProcessSet(pattern=f"{settings.run_dir}/", records=(f"{folder}/*.json",))
    counts["processes"] = len(engine.pids())
    counts |= {f"{MEMORY} of {name}": proportional_set_size(pid) >> 10 for name, pid in alive.items()}
    return counts


def _host(settings: Settings) -> Counts:
    return {
        "mounts": _mounts(settings, "self"),
        "links": _lines(Path("/proc/self/net/dev")),
        "firewall rules": _rules(),
        "control groups": sum(_folders(parent) for parent in CGROUPS.glob(f"*/{settings.cgroup_parent}")),
        "control groups (v2)": _folders(CGROUPS / settings.cgroup_parent),
        "files of the run folder": _files(settings.run_path),
        "files of the state folder": sum(
            _files(entry) for entry in settings.state_path.iterdir() if entry.name not in _NOT_COUNTED
        ),
    }


def _rules() -> int:
    """Rules, and elements of sets and maps."""
    listed = Nftables().run("list ruleset")
    return sum(line.count(",") + 1 for line in listed.splitlines() if line.strip() not in ("", "}"))


async def _broker(settings: Settings) -> Counts:
    """Records by family. What was replaced may still be there, and a removed record's marker stays for a while."""
    bus, state = await connect(settings, "tool")
    families = [keys for contract in CONTRACTS.values() for keys in contract.owns]
    counts = {f"records {keys.pattern}": 0 for keys in families}
    present: set[str] = set()
    try:
        async for message in replay(bus, f"KV_{BUCKET}", f"$KV.{BUCKET}.>"):
            (present.discard if removed(message) else present.add)(message.subject.removeprefix(f"$KV.{BUCKET}."))
    finally:
        await state.close()
        await bus.close()
    for key in present:
        family = next((keys.pattern for keys in families if keys.parts(key) is not None), "of no contract")
        counts[f"records {family}"] = counts.get(f"records {family}", 0) + 1
    return counts


def settled(settings: Settings, wrong: Callable[[Counts], object]) -> Counts:
    """The counts as soon as nothing is wrong with them, or the last ones after a while."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while wrong(counts := take(settings)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return counts


def leaks(before: Mapping[str, int], after: Mapping[str, int], slack: Mapping[str, int]) -> list[str]:
    """What there is more of than before, by more than its slack."""
    return [
        f"{name}: {before.get(name, 0)} before, {count} after"
        for name, count in after.items()
        if count > before.get(name, 0) + slack.get(name, 0)
    ]


def _entries(folder: Path) -> int:
    try:
        return len(os.listdir(folder))
    except OSError:
        return 0


def _lines(file: Path) -> int:
    try:
        return file.read_bytes().count(b"\n")
    except OSError:
        return 0


def _mounts(settings: Settings, process: str) -> int:
    """Those of this engine: others may live on the same host."""
    try:
        text = Path(f"/proc/{process}/mountinfo").read_text(errors="replace")
    except OSError:
        return 0
    return sum(settings.run_dir in line or settings.state_dir in line for line in text.splitlines())


def _folders(top: Path) -> int:
    return sum(1 for _ in os.walk(top)) if top.is_dir() else 0


def _files(top: Path) -> int:
    return sum(len(folders) + len(files) for _, folders, files in os.walk(top))
