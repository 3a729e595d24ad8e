"""The streams of an exec that the shim made: its pipes, or the master of its terminal."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import Callable
from typing import Any

from shared.streams import Channel
from shared.streams.frames import STDERR, STDOUT, frame
from shared.tasks import TaskGroup

CHUNK = 128 << 10
GRACE_SECONDS = 2.0
"""How long after its end the output of an exec is awaited that others hold open (dockerd's)."""


class Pipes:
    """Read and written without blocking; closed when the output has ended, or its exec and the grace."""

    def __init__(self, descriptors: list[int], tty: bool, ended: asyncio.Future[Any]) -> None:
        """`descriptors` as the shim hands them over; `ended` is done when the exec has."""
        self._tty, self._ended = tty, ended
        self._outputs = descriptors[:1] if tty else descriptors[:2]
        self._input = descriptors[0] if tty else (descriptors[2] if len(descriptors) > 2 else -1)
        self._tasks = TaskGroup("pipes")
        for descriptor in descriptors:
            os.set_blocking(descriptor, False)

    async def serve(self, channel: Channel, stdin: bool) -> None:
        """Until the output has ended. `ConnectionError`: the client is gone; what still comes is thrown away."""
        feeding = self._tasks.start(self._feed(channel), "input") if stdin else None
        if not stdin:
            self._close_input()
        try:
            await self._copy(channel)
        except ConnectionError:
            self._tasks.start(self.discard(), "discard")
            raise
        else:
            self.close()
        finally:
            if feeding is not None:
                feeding.cancel()

    async def discard(self) -> None:
        """Keeps reading so that the program is not held up."""
        self._close_input()
        await self._copy(None)
        self.close()

    async def _copy(self, channel: Channel | None) -> None:
        kinds = zip((STDOUT, STDERR), self._outputs, strict=False)
        copying = asyncio.gather(*(self._output(kind, each, channel) for kind, each in kinds))
        try:
            await asyncio.wait((copying, self._ended), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((copying,), timeout=GRACE_SECONDS)
            if copying.done():
                copying.result()
        finally:
            copying.cancel()

    async def _output(self, kind: int, descriptor: int, channel: Channel | None) -> None:
        while data := await _read(descriptor):
            if channel is not None:
                await channel.write(data if self._tty else frame(kind, data))

    async def _feed(self, channel: Channel) -> None:
        """The client's half-close becomes the end of the program's input; a terminal has no such thing."""
        with contextlib.suppress(OSError):  # the program has closed its input, or the client broke off
            while data := await channel.read():
                await _write(self._input, data)
        if not self._tty:
            self._close_input()

    def resize(self, height: int, width: int) -> None:
        """Gives the terminal a size; nothing when it has just ended."""
        if self._tty and self._outputs:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._outputs[0], termios.TIOCSWINSZ, struct.pack("4H", height, width, 0, 0))

    def _close_input(self) -> None:
        if self._input >= 0 and not self._tty:
            os.close(self._input)
        self._input = -1

    def close(self) -> None:
        self._close_input()
        for descriptor in self._outputs:
            os.close(descriptor)
        self._outputs = []


async def _read(descriptor: int) -> bytes:
    """What there is, at least one byte; empty: the end."""
    while True:
        try:
            return os.read(descriptor, CHUNK)
        except BlockingIOError:
            await _ready(descriptor, asyncio.get_running_loop().add_reader, asyncio.get_running_loop().remove_reader)
        except OSError:
            return b""  # a terminal whose other side is closed


async def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            await _ready(descriptor, asyncio.get_running_loop().add_writer, asyncio.get_running_loop().remove_writer)


async def _ready(descriptor: int, watch: Callable[..., None], leave: Callable[[int], object]) -> None:
    """Waits until the event loop says so."""
    happened = asyncio.get_running_loop().create_future()
    watch(descriptor, _set, happened)
    try:
        await happened
    finally:
        leave(descriptor)


def _set(happened: asyncio.Future[None]) -> None:
    if not happened.done():
        happened.set_result(None)
