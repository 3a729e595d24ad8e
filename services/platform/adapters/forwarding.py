"""Forwarding logs to log servers.

The monitor writes a log to its file whatever happens; from there it is read and sent on. How far it was sent is kept
beside the file (`X.log.sent`), so that neither the death of this process nor of the server loses a line; the lines
of the last moment before a death may come twice. The workload never waits for a server.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from shared.contracts.platform import LogSink
from shared.errors import Internal
from shared.tasks import TaskGroup

from ..domain.lifecycle import Ended
from ..domain.messages import Logged, Messages
from . import rotation, syscalls
from .logs import CHANGES, LogFile, readable_or
from .sinks import Sink, sink_of

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
LAST_SECONDS = 2.0
"""How long the removal of a log waits for what was not sent yet."""
TURN = 64
"""Messages sent in one turn of the loop."""
SENT = ".sent"


class Sent(msgspec.Struct, frozen=True):
    """How far a log was sent: the file and the bytes of it."""

    sink: LogSink
    file: int
    offset: int


class Forwarding:
    """All logs that are sent on."""

    def __init__(self) -> None:
        self._tasks = TaskGroup("forwarding")
        self._running: dict[Path, asyncio.Task[None]] = {}

    async def prepare(self, wanted: LogSink) -> Sink:
        """A connection to the server: a workload whose log goes nowhere is not made. Raises `Internal`."""
        sink = sink_of(wanted)
        try:
            await sink.connect()
        except OSError as error:
            sink.close()
            raise Internal(f"failed to initialize logging driver: {_told(wanted, error)}") from None
        return sink

    def begin(self, path: Path, wanted: LogSink, sink: Sink, ended: asyncio.Future[Ended]) -> None:
        """Sends on what is written from now on, and what is left from earlier; the log is there already."""
        if _state(path) is None:
            stat = path.stat()
            _keep(path, Sent(wanted, stat.st_ino, stat.st_size))
        self._start(path, wanted, sink, ended)

    def go_on(self, folder: Path, ended: Callable[[Path], asyncio.Future[Ended]]) -> None:
        """What another platform began; `ended` tells of a log when its workload has ended."""
        for mark in folder.glob(f"*.log{SENT}"):
            path, state = mark.with_name(mark.name.removesuffix(SENT)), None
            if path.exists():
                state = _state(path)
            if state is None:
                mark.unlink(missing_ok=True)
            else:
                self._start(path, state.sink, sink_of(state.sink), ended(path))

    def _start(self, path: Path, wanted: LogSink, sink: Sink, ended: asyncio.Future[Ended]) -> None:
        former = self._running.get(path)
        self._running[path] = task = self._tasks.start(_forward(path, wanted, sink, ended, former), "forward")
        task.add_done_callback(lambda done: self._running.get(path) is done and self._running.pop(path))

    async def end(self, path: Path) -> None:
        """The log is about to be removed: what is left is sent, if its server takes it soon."""
        task = self._running.pop(path, None)
        if task is not None:
            await asyncio.wait((task,), timeout=LAST_SECONDS)
            task.cancel()
        rotation.beside(path, SENT).unlink(missing_ok=True)

    async def close(self) -> None:
        await self._tasks.close()


def _told(wanted: LogSink, error: OSError) -> str:
    """`dial tcp 127.0.0.1:1: connect: connection refused`, in the shape of Go's errors."""
    network = "tcp" if wanted.transport == "tcp+tls" else wanted.transport
    if isinstance(error, TimeoutError):
        reason = "i/o timeout"
    elif isinstance(error, socket.gaierror):
        return f"dial {network}: lookup {wanted.address.rpartition(':')[0]}: no such host"
    elif verification := getattr(error, "verify_message", ""):
        own = "self-signed" in verification or "local issuer" in verification
        unknown = "certificate signed by unknown authority"
        return f"tls: failed to verify certificate: x509: {unknown if own else verification}"
    elif trouble := getattr(error, "reason", ""):
        return f"tls: {trouble.lower().replace('_', ' ')}"
    elif wanted.address and (number := error.errno or 0) in errno.errorcode:
        reason = os.strerror(number).lower()
    else:
        return error.strerror or str(error) or "EOF"
    return f"dial {network} {wanted.address}: connect: {reason}"


def _state(path: Path) -> Sent | None:
    try:
        return msgspec.json.decode(rotation.beside(path, SENT).read_bytes(), type=Sent)
    except (OSError, msgspec.DecodeError):
        return None


def _keep(path: Path, state: Sent) -> None:
    mark = rotation.beside(path, SENT)
    temporary = mark.with_name(f".{mark.name}")
    temporary.write_bytes(msgspec.json.encode(state))
    os.rename(temporary, mark)


async def _forward(
    path: Path, wanted: LogSink, sink: Sink, ended: asyncio.Future[Ended], former: asyncio.Task[None] | None
) -> None:
    """Until the workload has ended and all was sent. `former`: what sends an earlier run's lines comes first."""
    if former is not None:
        await asyncio.wait((former,))
    state = _state(path)
    assert state is not None
    file, messages = LogFile(path), Messages()
    watch = syscalls.inotify(str(path), CHANGES)

    def keep() -> None:
        _keep(path, Sent(wanted, *file.position(messages.pending)))

    if not file.seek(state.file, state.offset):
        log.warning("%s: lines that were not sent yet are gone", path.name)
    try:
        while True:
            last, replaced = ended.done(), file.replaced()
            while data := file.read():
                await _send_all(sink, messages.feed(data))
                if messages.between:
                    keep()
            if replaced:
                syscalls.watch_no_more(watch)
                watch = syscalls.inotify(str(path), CHANGES)
                file.go_on()
            elif last:
                break
            else:
                await readable_or(watch, ended)
        await _send_all(sink, messages.flush())
        keep()
    finally:
        syscalls.watch_no_more(watch)
        file.close()
        sink.close()


async def _send_all(sink: Sink, found: list[Logged]) -> None:
    """One after the other, each again until the server has taken it."""
    pause = FIRST_PAUSE
    for number, message in enumerate(found):
        if number % TURN == 0:
            await asyncio.sleep(0)  # others are served in between
        while True:
            try:
                await sink.send(message)
                break
            except OSError as error:
                log.warning("log server: %s; trying again", error)
                sink.close()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
