"""Starting movers and gates, and speaking with a mover."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from shared.errors import FailedPrecondition

from ..mover import priority
from . import criu, process
from .shim import CHECKOUT

ANSWER_SECONDS = 30.0
STREAMS = 10
"""A gate's standard streams have this number and the following in criu (`services.platform.mover.gate`)."""
HIGH = 64
"""Descriptors are put out of the way first: one could have the number that another is to get."""
_LIMIT = 1 << 20


def python(module: str, *arguments: str) -> list[str]:
    """The words that run `main` of a module of this checkout, with Python's standard library alone."""
    begin = f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); from {module} import main; main()"
    interpreter = os.path.realpath(sys.executable)
    return [interpreter, "-I", "-S", "-B", "-X", "utf8", "-c", begin, *arguments]


def spawn(words: list[str], keep: dict[int, int]) -> int:
    """Starts a program of its own session with these descriptors (theirs: ours) and /dev/null; its pid."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    actions = [(os.POSIX_SPAWN_DUP2, null, number) for number in range(3)]
    high = {theirs: fcntl.fcntl(ours, fcntl.F_DUPFD_CLOEXEC, HIGH) for theirs, ours in keep.items()}
    actions += [(os.POSIX_SPAWN_DUP2, ours, theirs) for theirs, ours in high.items()]
    try:
        return os.posix_spawn(
            words[0],
            words,
            {"PYTHONHOME": sys.base_prefix, "PATH": os.environ.get("PATH", os.defpath)},
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGTERM),
        )
    finally:
        for descriptor in (null, *high.values()):
            os.close(descriptor)


class Mover:
    """One side's mover. `over` is done when it has ended, however: what it did its files in `folder` tell."""

    def __init__(self, pid: int, start: int, folder: Path, control: socket.socket | None = None) -> None:
        self.folder, self.pid = folder, pid
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._control = control
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._handle = process.alive(pid, start)
        self.start = self._handle.start if self._handle is not None else 0
        self._reason = ""
        if self._handle is None:
            self.over.set_result(None)
        else:
            self._handle.on_end(self._ended)

    def _ended(self) -> None:
        process.reap(self.pid)
        if not self.over.done():
            self.over.set_result(None)

    def happened(self, name: str) -> str | None:
        """The text of a file that it leaves at its end; None: it has not come to that."""
        try:
            return (self.folder / name).read_text()
        except FileNotFoundError:
            return None

    async def ask(self, event: str, seconds: float | None = ANSWER_SECONDS, **asked: Any) -> dict[str, Any]:
        """Asks, if there is something to ask, and waits for that event. `FailedPrecondition`: it has failed."""
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await self._streams()
                if asked and not writer.is_closing():  # else it has said why
                    writer.write(msgspec.json.encode(asked) + b"\n")
                    await writer.drain()
                while line := await reader.readline():
                    said: dict[str, Any] = msgspec.json.decode(line)
                    if said["event"] == event:
                        return said
                    self._reason = said.get("reason", self._reason)
        except OSError as error:  # a timeout is one, too
            self._reason = self._reason or str(error) or f"no answer within {seconds} seconds"
        raise FailedPrecondition(f"the transfer between the hosts failed: {self._reason or 'it was ended'}")

    async def tell(self, **said: Any) -> None:
        """Nothing to one that another platform has started, or that has ended."""
        with contextlib.suppress(OSError):
            _, writer = await self._streams()
            if not writer.is_closing():
                writer.write(msgspec.json.encode(said) + b"\n")

    async def _streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None:
            if self._control is None:
                raise ConnectionResetError("another platform has started it")
            self._reader, self._writer = await asyncio.open_connection(sock=self._control, limit=_LIMIT)
        return self._reader, self._writer

    def hurry(self) -> None:
        """Somebody may wait for it from now on."""
        if self._handle is not None:
            priority.wait_no_more(self.pid)

    async def kill(self) -> None:
        """Returns when it is gone."""
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                self._handle.send(signal.SIGKILL)
        await self.over
        self.close()

    def close(self) -> None:
        """Lets it go on alone."""
        if self._writer is not None:
            self._writer.close()
        elif self._control is not None:
            self._control.close()
        self._control = self._reader = self._writer = None
        if self._handle is not None:
            self._handle.close()
            self._handle = None


async def start(
    folder: Path, config: dict[str, Any], run: Callable[[Callable[[], int]], Awaitable[int]]
) -> Mover:  # fmt: skip
    """Starts a mover with that configuration; `folder` is where it leaves its files. `run` runs what spawns it."""
    ours, theirs = socket.socketpair()
    with theirs:
        words, given = python("services.platform.mover.program", str(folder)), {3: theirs.fileno()}
        pid = await run(partial(spawn, words, given))
    ours.sendall(msgspec.json.encode(config | {"folder": str(folder)}) + b"\n")
    ours.setblocking(False)
    return Mover(pid, process.start_time(pid), folder, ours)


def write_gate(
    folder: Path,
    program: str,
    network: str,
    *,
    socket: int = -1,
    ids: tuple[int, int] = (0, 0),
    groups: Iterable[Path | str] = (),
    cgroup_namespace: bool = False,
) -> Path:
    """The configuration of a gate (`services.platform.mover.gate`); the configuration's path.

    `socket`: its descriptor by which criu is told what to do; without, there are the fifos `gate`, by which it is told
    what to restore, and `go`, with the files that tell how far it is (`criu.HELD` and the others). `ids`: the real user
    and group that criu is to have, those of the processes it asks about. `cgroup_namespace`: what is restored gets one
    of its own, which criu does not make where it leaves groups alone.
    """
    config: dict[str, Any] = {"criu": program, "network": network, "socket": socket, "ids": ids}
    config["cgroup_namespace"] = cgroup_namespace
    config["groups"] = [str(each) for each in groups]
    if socket < 0:
        os.mkfifo(folder / "gate", 0o600)
        os.mkfifo(folder / criu.GO, 0o600)
        config |= {"log": str(folder / "gate.log"), "fifo": str(folder / "gate")}
        config |= {name: str(folder / name) for name in (criu.HELD, criu.GO, criu.RUNS, criu.PIDFILE)}
    path = folder / "gate.json"
    path.write_bytes(msgspec.json.encode(config))
    return path


class Fifo:
    """A platform's end of a fifo: who reads there waits, and sees an end when the platform is gone."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def tell(self, line: bytes) -> None:
        """One line, of at most a pipe's size."""
        os.write(self._descriptor, line + b"\n")

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def remove(folder: Path) -> None:
    """Removes a move's folder; one that is not there is none the worse."""
    shutil.rmtree(folder, ignore_errors=True)
