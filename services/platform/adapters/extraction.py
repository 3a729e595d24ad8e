"""Having archives unpacked into containers by confined helpers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from shared import telemetry
from shared.errors import Internal, from_kind
from shared.streams import Channel, LocalChannel
from shared.tasks import TaskGroup

IDLE = 10.0
"""Seconds after the last archive for which the process stays that helpers are forked from."""
_BOOT = (
    "import sys; sys.path[:0] = sys.argv[2:]; from services.platform.adapters.extract_helper import serve; "
    "serve(int(sys.argv[1]))"
)


def _paths() -> list[str]:
    """Where the helper finds this program and its two libraries; it runs without `site`."""
    room = Path(__file__).resolve().parents[3]
    libraries = {str(Path(spec.origin).parents[1]) for name in ("isal", "zstandard")
                 if (spec := find_spec(name)) is not None and spec.origin}  # fmt: skip
    return [str(room), *sorted(libraries)]


class Extraction:
    """Each archive is unpacked by a helper of its own, see `extract_helper`.

    Helpers are forked from a process that has loaded what they need: a start of Python costs ten times as much as
    unpacking a small file. It is started with the first archive and ends `IDLE` seconds after the last one.
    """

    def __init__(self) -> None:
        self._forking = asyncio.Lock()
        self._parent: tuple[Process, socket.socket] | None = None
        self._busy = 0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = TaskGroup("extraction")

    async def extract(self, channel: Channel, options: dict[str, Any]) -> None:
        """Unpacks what comes by the channel; raises the error that the helper tells.

        The bytes of a local channel go to the helper without passing through this process.
        """
        async with self._used():
            if isinstance(channel, LocalChannel):
                return _check(await self._unpacked(channel.input(), options))
            ours, theirs = socket.socketpair()
            with ours, theirs:
                ours.setblocking(False)
                feeding = self._tasks.start(_feed(channel, ours), "feed")
                try:
                    answer = await self._unpacked(theirs, options)
                finally:
                    feeding.cancel()
                    await asyncio.wait((feeding,))
            return _check(answer)

    async def _unpacked(self, archive: socket.socket, options: dict[str, Any]) -> bytes:
        """What the helper says at its end; it is gone when this returns, or is cancelled."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            with theirs, telemetry.span("extract helper"):
                helper = await self._forked(archive, theirs, options)
            answer = b""
            try:
                while data := await loop.sock_recv(ours, 4096):
                    answer += data
            finally:
                await asyncio.shield(_ended(helper))
        return answer

    async def _forked(self, archive: socket.socket, answer: socket.socket, options: dict[str, Any]) -> int:
        """A descriptor of the new helper's process. The given ones are not used any more once this is cancelled."""
        descriptors = [archive.fileno(), answer.fileno(), *(options[each] for each in ("namespace", "root", "top"))]
        message = json.dumps(options).encode()
        async with self._forking:
            for _ in range(2):  # the process may have been killed
                if self._parent is None:
                    self._parent = await self._start()
                process, control = self._parent
                with suppress(OSError):
                    socket.send_fds(control, [message], descriptors)
                    if helper := await self._told(control):
                        return helper
                self._forget()
                await process.wait()
        raise Internal("no helper to unpack the archive can be started")

    async def _told(self, control: socket.socket) -> int:
        """What `serve` answers; each request has its own answer, also one that nobody waits for any more."""
        answer = self._tasks.start(_received(control), "answer")
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            if helper := await answer:
                await _ended(helper)
            raise

    async def _start(self) -> tuple[Process, socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", "-c", _BOOT, str(theirs.fileno()), *_paths(),
                stdin=DEVNULL, stdout=DEVNULL, cwd="/", env={}, pass_fds=(theirs.fileno(),),
            )  # fmt: skip
        ours.setblocking(False)
        return process, ours

    @asynccontextmanager
    async def _used(self) -> AsyncIterator[None]:
        self._busy += 1
        if self._timer is not None:
            self._timer.cancel()
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy:
                self._timer = asyncio.get_running_loop().call_later(IDLE, self.close)

    def _forget(self) -> None:
        if self._parent is not None:
            self._parent[1].close()
            self._parent = None

    def close(self) -> None:
        """The process that helpers are forked from ends, and with it those that are still at work."""
        if self._timer is not None:
            self._timer.cancel()
        if self._parent is not None:
            self._tasks.start(self._parent[0].wait(), "end")
        self._forget()


async def _received(control: socket.socket) -> int:
    """The descriptor that comes; 0 when the other side is gone."""
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(control.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(control.fileno())
    _, found, _, _ = socket.recv_fds(control, 1, 1)
    return found[0] if found else 0


async def _feed(channel: Channel, into: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        while data := await channel.read():
            await loop.sock_sendall(into, data)
        into.shutdown(socket.SHUT_WR)


async def _ended(helper: int) -> None:
    """Ends a helper, whatever it is doing; returns when it is gone."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(helper, signal.SIGKILL)
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(helper, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(helper)
        os.close(helper)


def _check(answer: bytes) -> None:
    try:
        said = json.loads(answer)
    except ValueError:
        raise Internal("the extracting helper ended too early") from None
    if "error" in said:
        raise from_kind(str(said.get("kind")), str(said["error"]))
