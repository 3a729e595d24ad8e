"""Processes by descriptor: what is signalled or awaited is the very process that was meant."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from shared.errors import InvalidArgument

PS_SECONDS = 10.0
END_SECONDS = 5.0


def start_time(pid: int) -> int:
    """Start of a process in clock ticks since boot (proc_pid_stat(5), field 22); 0 when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(text[text.rindex(")") + 2 :].split()[19])


def sleeps(pid: int) -> bool:
    """Whether a process waits for something to come, or is gone; not while it reads or writes a file."""
    return _state(pid) in "SZX"


def lives(pid: int) -> bool:
    """Whether there is a process, and it has not ended."""
    return _state(pid) not in "ZX"


def _state(pid: int) -> str:
    """As in proc_pid_stat(5), field 3; `X` when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "X"
    return text[text.rindex(")") + 2]


def with_argument(argument: str) -> list[int]:
    """Pids of all processes that were started with this argument."""
    wanted, found = f"\0{argument}\0".encode(), []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if wanted in Path(entry.path, "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def end(pid: int) -> None:
    """Kills a process and waits until it is gone; one that is gone is none the worse."""
    with contextlib.suppress(OSError):
        descriptor = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            poller = select.poll()
            poller.register(descriptor, select.POLLIN)
            poller.poll(END_SECONDS * 1000)
        finally:
            os.close(descriptor)


def end_started(pid: int, start: int) -> None:
    """The same for a child that began at that time (`start_time`), and takes its exit status; nothing where it is gone,
    also when another has its pid by now.
    """
    if start and start_time(pid) == start:
        end(pid)
        reap(pid)


def sockets(pid: int) -> int:
    """How many sockets a process holds; more than any when it is gone."""
    try:
        return sum(os.readlink(entry.path).startswith("socket:") for entry in os.scandir(f"/proc/{pid}/fd"))
    except OSError:
        return sys.maxsize


def network_counters(pid: int, own: int) -> str:
    """/proc/net/dev of the process's network namespace; empty when it is gone, or in the namespace with inode `own`."""
    try:
        if os.stat(f"/proc/{pid}/ns/net").st_ino == own:
            return ""
        return Path(f"/proc/{pid}/net/dev").read_text()
    except OSError:
        return ""


def _status(pid: int, field: str) -> list[str]:
    """The words of one line of proc_pid_status(5); none when the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return []
    return next((line.split()[1:] for line in lines if line.startswith(f"{field}:")), [])


def inner_pid(pid: int) -> int:
    """A process's pid in the innermost pid namespace it is in; 0 when it is gone."""
    return int((_status(pid, "NSpid") or ["0"])[-1])


def real_ids(pid: int) -> tuple[int, int] | None:
    """Its real user and group; None when it is gone."""
    user, group = (_status(pid, field) for field in ("Uid", "Gid"))
    return (int(user[0]), int(group[0])) if user and group else None


def private_memory(pid: int) -> int:
    """Bytes of anonymous memory that it has, in memory and swapped out."""
    return sum(int((_status(pid, field) or ["0"])[0]) for field in ("RssAnon", "VmSwap")) << 10


class Handle:
    """One process, held by pidfd_open(2)."""

    def __init__(self, pid: int, start: int = 0) -> None:
        """Raises `ProcessLookupError` when the process is gone, or (start given) is another one by now."""
        self.pid = pid
        self.descriptor = os.pidfd_open(pid)
        self.start = start_time(pid)
        if start and self.start != start:
            self.close()
            raise ProcessLookupError(pid)
        self._watched = False

    def send(self, number: int) -> None:
        """Raises `ProcessLookupError` when it has ended."""
        signal.pidfd_send_signal(self.descriptor, number)

    def on_end(self, callback: Callable[[], None]) -> None:
        """Calls back once, from the event loop, when the process has ended."""
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(self.descriptor)
            self._watched = False
            callback()

        self._watched = True
        loop.add_reader(self.descriptor, ended)

    def close(self) -> None:
        if self.descriptor < 0:
            return
        if getattr(self, "_watched", False):
            asyncio.get_running_loop().remove_reader(self.descriptor)
        os.close(self.descriptor)
        self.descriptor = -1


def alive(pid: int, start: int) -> Handle | None:
    """A handle of that process if it is still there; of one that has ended before its start was known (0), none."""
    try:
        return Handle(pid, start) if start else None
    except (ProcessLookupError, OSError):
        return None


def ps(arguments: list[str], pids: Collection[int] = ()) -> str:
    """What the host's process list program prints; `InvalidArgument` when it refuses the arguments.

    Of these processes, whoever's they are, if it can be asked so; else of those that the arguments choose.
    """
    chosen = ["-q" + ",".join(map(str, sorted(pids)))] if pids else []
    done = _ps([*arguments, *chosen])
    if done.returncode and chosen:  # some arguments do not go together with that
        done = _ps(arguments)
    if done.returncode and not done.stdout.strip():
        said = done.stderr.strip().splitlines()
        raise InvalidArgument(f"ps: {said[0] if said else done.returncode}")
    return done.stdout


def _ps(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ps", *arguments], capture_output=True, text=True, errors="replace", timeout=PS_SECONDS, check=False
    )


def reap_now(pid: int) -> None:
    """Waits for a child that is about to end."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def reap(pid: int) -> None:
    """Takes the exit status of a child that has ended; of a process that is none of ours, nothing."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
