"""Sending a workload's log to a reader, from the file that the monitor writes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from shared.streams import Channel

from ..domain.lifecycle import Ended
from ..domain.logs import Decoder, tail_start
from . import syscalls

CHUNK = 256 << 10
IN_MODIFY, IN_ATTRIB, IN_MOVE_SELF = 0x2, 0x4, 0x800
CHANGES = IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF
"""Written to, or replaced by the monitor because it had grown to its bound."""


class LogFile:
    """One log, read from the start, or from its last messages."""

    def __init__(self, path: Path) -> None:
        """Raises `FileNotFoundError` when nothing was ever logged."""
        self._path = path
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by close()

    def tail(self, messages: int) -> None:
        """Puts the reader before the last `messages`."""
        end = self._file.seek(0, os.SEEK_END)
        size, data = 0, b""
        while size < end:
            size = min(max(size * 2, CHUNK), end)
            self._file.seek(end - size)
            data = self._whole_lines(self._file.read(size), size == end)
            start = tail_start(data, messages)
            if start is not None:
                self._file.seek(end - size + (size - len(data) - self._torn) + start)
                return
        self._file.seek(0)

    def _whole_lines(self, data: bytes, from_start: bool) -> bytes:
        """`data` without a line cut at its begin or torn at its end; remembers the bytes torn off."""
        begin = 0 if from_start else data.find(b"\n") + 1
        end = data.rfind(b"\n") + 1
        self._torn = len(data) - end
        return data[begin:end]

    def read(self) -> bytes:
        """The next piece; empty at the present end."""
        return self._file.read(CHUNK)

    def close(self) -> None:
        self._file.close()

    async def send(self, channel: Channel, decoder: Decoder) -> None:
        """Sends all there is up to the present end."""
        while not decoder.finished and (data := self.read()):
            if output := decoder.feed(data):
                await channel.write(output)

    async def follow(self, channel: Channel, decoder: Decoder, ended: asyncio.Future[Ended]) -> None:
        """Sends what is there and what comes, until the workload has ended and all of it was sent.

        `ended` is done after the monitor wrote its last byte; the file is read once more after that was seen.
        """
        watch = syscalls.inotify(str(self._path), CHANGES)
        try:
            while True:
                last, replaced = ended.done(), self._replaced()
                await self.send(channel, decoder)
                if decoder.finished or (last and not replaced):
                    return
                if replaced:
                    os.close(watch)
                    watch = syscalls.inotify(str(self._path), CHANGES)
                    self._reopen()
                else:
                    await _readable_or(watch, ended)
        finally:
            os.close(watch)

    def _replaced(self) -> bool:
        """Whether the monitor began a new file under the name; the old one then gets nothing more."""
        return os.stat(self._path).st_ino != os.fstat(self._file.fileno()).st_ino

    def _reopen(self) -> None:
        self._file.close()
        self._file = open(self._path, "rb", buffering=0)  # noqa: SIM115 - closed by close()


async def _readable_or(watch: int, ended: asyncio.Future[Ended]) -> None:
    """Returns when the watched file was written to, or the workload has ended."""
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()

    def wake(_: object = None) -> None:
        if not woken.done():
            woken.set_result(None)

    ended.add_done_callback(wake)
    loop.add_reader(watch, wake)
    try:
        await woken
    finally:
        loop.remove_reader(watch)
        ended.remove_done_callback(wake)
    try:
        os.read(watch, 65536)
    except BlockingIOError:
        pass
