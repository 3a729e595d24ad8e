"""Which processes are an engine's own, and what they cost: proportional memory (PSS) and processor time."""

from __future__ import annotations

import glob
import json
import os
import re
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class ProcessSet:
    """The trees below `roots` and below those in `records`, and all whose command line matches `pattern`.

    `records` are shell patterns of JSON files with a number under `pid`, read anew each time.

    Processes in other PID namespaces than ours are what runs in the containers, and never belong to the engine.
    """

    roots: tuple[int, ...] = ()
    pattern: str = ""
    records: tuple[str, ...] = ()

    def pids(self) -> list[int]:
        """Those that run now."""
        ours = os.readlink("/proc/self/ns/pid")
        found = set(tree((*self.roots, *recorded(self.records)))) | set(matching(self.pattern))
        return sorted(pid for pid in found if _pid_namespace(pid) == ours)

    def pss(self) -> float:
        """Memory of all of them in MB (10^6 bytes), shared pages counted by share."""
        return sum(_pss(pid) for pid in self.pids()) * 1024 / 1e6

    def cpu_seconds(self) -> float:
        """Processor time that they have used so far."""
        return sum(_ticks(pid) for pid in self.pids()) / TICKS


def parse(text: str) -> ProcessSet:
    """A set from `pid:N`, `pidfile:PATH`, `records:GLOB` and `match:REGEX`, joined by commas."""
    roots, patterns, records = [], [], []
    for part in text.split(","):
        kind, _, value = part.partition(":")
        if kind == "pid" and value.isdigit():
            roots.append(int(value))
        elif kind == "pidfile":
            roots.append(int(Path(value).read_text()))
        elif kind == "records" and value:
            records.append(value)
        elif kind == "match" and value:
            patterns.append(re.compile(value).pattern)
        else:
            raise ValueError(f"processes: {part!r} is none of pid:N, pidfile:PATH, records:GLOB, match:REGEX")
    return ProcessSet(tuple(roots), "|".join(f"(?:{pattern})" for pattern in patterns), tuple(records))


def peer(path: str) -> int:
    """The process that listens on a unix socket (SO_PEERCRED)."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        pid: int = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        return pid


def tree(roots: Iterable[int]) -> list[int]:
    """The processes and all below them."""
    found, queue = [], list(roots)
    while queue:
        pid = queue.pop()
        found.append(pid)
        for listing in glob.glob(f"{PROC}/{pid}/task/*/children"):  # none, not an error, of one that has just ended
            queue += [int(child) for child in _read(Path(listing)).split()]
    return found


def recorded(patterns: Iterable[str]) -> list[int]:
    """The processes that JSON files name under `pid`."""
    files = (Path(name) for pattern in patterns for name in glob.glob(pattern))
    return [json.loads(text)["pid"] for text in map(_read, files) if text]


def matching(pattern: str) -> list[int]:
    """Processes whose command line, with blanks between its words, matches; none for an empty pattern."""
    if not pattern:
        return []
    search = re.compile(pattern).search
    pids = (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())
    return [pid for pid in pids if pid != os.getpid() and search(_read(PROC / str(pid) / "cmdline").replace("\0", " "))]


def _pid_namespace(pid: int) -> str:
    try:
        return os.readlink(PROC / str(pid) / "ns" / "pid")
    except OSError:
        return ""


def _pss(pid: int) -> int:
    found = re.search(r"^Pss:\s+(\d+) kB", _read(PROC / str(pid) / "smaps_rollup"), re.MULTILINE)
    return int(found[1]) if found else 0


def _ticks(pid: int) -> int:
    fields = _read(PROC / str(pid) / "stat").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12]) if fields else 0


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
