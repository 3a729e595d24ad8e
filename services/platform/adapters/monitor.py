"""conmon, the monitor that holds a workload's streams, writes its log and keeps its exit code.

It is started by one posix_spawn, calls `<runtime> create` (or `exec`), and tells the pid or the runtime's error
as a JSON line on the pipe `_OCI_SYNCPIPE`. With `--sync` it does not detach by a second fork: its pid is known.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec

from shared.errors import Internal

from .runtime import Runtime

CREATE_SECONDS = 60.0
"""A runtime that has not made the process by then is given up."""
STDIN_CHUNK = 32 << 10
"""conmon takes at most this much from its attach socket at once; more in one packet is cut off."""


class RuntimeFailure(Exception):
    """The runtime did not make the process; the text is the runtime's own."""


class _Line(msgspec.Struct):
    data: int = -1
    message: str = ""


class Program:
    """The conmon to use."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._environment = {"PATH": f"{Path(path).parent}:{os.environ.get('PATH', os.defpath)}", "TZ": "UTC0"}

    def spawn(self, arguments: Sequence[str], pipes: dict[str, int]) -> int:
        """Starts conmon with only these descriptors besides /dev/null; its pid."""
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        keep = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)]
        keep += [(os.POSIX_SPAWN_DUP2, pipe, pipe) for pipe in pipes.values()]  # to itself: clears close-on-exec
        environment = self._environment | {name: str(pipe) for name, pipe in pipes.items()}
        try:
            return os.posix_spawn(
                self.path,
                [self.path, *arguments],
                environment,
                file_actions=keep,
                setsigmask=(),
                setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGTERM),
            )
        finally:
            os.close(null)


def common_arguments(runtime: Runtime, workload: str, folder: Path, log: str) -> list[str]:
    """What every conmon gets: exit code and oom mark go to `folder`, and the attach socket is there."""
    arguments = ["--api-version", "1", "--sync", "--full-attach", "--no-sync-log", "-c", workload, "-u", workload]
    arguments += ["-r", runtime.program, "-b", str(folder), "-p", str(folder / "pidfile")]
    arguments += ["--persist-dir", str(folder), "--log-path", log]
    return arguments + [f"--runtime-arg={word}" for word in runtime.arguments()]


def stream_arguments(stdin: bool, stdin_once: bool, tty: bool) -> list[str]:
    """How standard streams are held. stdin stays open after its writer left unless it is to be used only once."""
    arguments = ["-i"] if stdin else []
    if stdin and (tty or not stdin_once):
        arguments.append("--leave-stdin-open")
    return [*arguments, "-t"] if tty else arguments


def resize(folder: Path, height: int, width: int) -> None:
    """Sends a terminal size to the monitor of a bundle; nothing when it has just ended."""
    try:
        control = os.open(folder / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(control, f"1 {height} {width}\n".encode())
    finally:
        os.close(control)


def readable(pipe: int) -> bool:
    """Waits until something can be read, or the other end is gone; False when the time has run out."""
    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    return bool(poller.poll(CREATE_SECONDS * 1000))


def read_pid(pipe: int, monitor: int) -> int:
    """The pid that conmon tells. Raises `RuntimeFailure` with the runtime's text, `Internal` when it says nothing."""
    text = b""
    while not text.endswith(b"\n"):
        if not readable(pipe):
            os.kill(monitor, signal.SIGKILL)
            raise Internal(f"the OCI runtime has not answered within {CREATE_SECONDS:.0f} seconds")
        more = os.read(pipe, 65536)
        if not more:
            raise Internal(f"the monitor ended without an answer{': ' if text else ''}{text.decode(errors='replace')}")
        text += more
    line = msgspec.json.decode(text.decode(errors="replace").splitlines()[0], type=_Line)
    if line.data <= 0:
        raise RuntimeFailure(line.message.strip())
    return line.data
