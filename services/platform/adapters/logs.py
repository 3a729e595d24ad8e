"""Sending a workload's log to a reader, from the files that the monitor writes."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from shared.streams import Channel

from ..domain.lifecycle import Ended
from ..domain.logs import Decoder, count, tail_start
from . import rotation, syscalls

CHUNK = 256 << 10
IN_MODIFY, IN_ATTRIB, IN_MOVE_SELF = 0x2, 0x4, 0x800
CHANGES = IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF
"""Written to, or replaced by the monitor because it had grown to its bound."""
TICK = 10_000_000
"""Nanoseconds that the time of a file may be behind the clock."""


class Part:
    """One file of a log; the end of a compressed one is known from its trailer (RFC 1952)."""

    def __init__(self, path: Path) -> None:
        """Raises `FileNotFoundError`."""
        raw = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by close()
        self.stat = os.fstat(raw.fileno())
        self.file: BinaryIO = raw
        self.packed = path.suffix == ".gz"
        if self.packed:
            raw.seek(-4, os.SEEK_END)
            self._size = int.from_bytes(raw.read(4), "little")
            raw.seek(0)
            self.file = gzip.GzipFile(fileobj=raw)  # type: ignore[assignment]
        self._raw = raw
        self.begin = 0

    def size(self) -> int:
        """Bytes at present."""
        return self._size if self.packed else os.fstat(self._raw.fileno()).st_size

    def skip(self, size: int) -> None:
        """Leaves out so many bytes, and the rest of the line they end in."""
        self.file.seek(size - 1)
        while data := self.file.read(CHUNK):
            if b"\n" in data:
                self.begin = self.file.tell() - len(data) + data.index(b"\n") + 1
                break
        else:
            self.begin = self.size()
        self.file.seek(self.begin)

    def tail(self, messages: int) -> int:
        """Puts the reader before the last `messages`, or at the begin when there are fewer: how many there are."""
        end = self.size()
        size, data = 0, b""
        while size < end - self.begin:
            size = min(max(size * 2, CHUNK), end - self.begin)
            self.file.seek(end - size)
            data = _exactly(self.file, size)
            data, torn = _whole_lines(data, size == end - self.begin)
            start = tail_start(data, messages)
            if start is not None:
                self.file.seek(end - len(data) - torn + start)
                return messages
        self.file.seek(self.begin)
        return count(data)

    def close(self) -> None:
        self.file.close()
        self._raw.close()


def _exactly(file: BinaryIO, size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := file.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _whole_lines(data: bytes, from_start: bool) -> tuple[bytes, int]:
    """`data` without a line cut at its begin or torn at its end; and the bytes torn off."""
    begin = 0 if from_start else data.find(b"\n") + 1
    end = data.rfind(b"\n") + 1
    return data[begin:end], len(data) - end


class LogFile:
    """One log, its older part first, read from the start, or from its last messages."""

    def __init__(self, path: Path, bound: int = 0) -> None:
        """At most the last `bound` bytes (0: all). Raises `FileNotFoundError` when nothing was ever logged."""
        self._path = path
        self._parts = _opened(path)
        if bound:
            self._drop(sum(part.size() for part in self._parts) - bound)

    def _drop(self, size: int) -> None:
        while size > 0 and self._parts:
            whole = self._parts[0].size()
            if size < whole or len(self._parts) == 1:
                self._parts[0].skip(min(size, whole))
                return
            size -= whole
            self._parts.pop(0).close()

    def begin_at(self, offset: int) -> None:
        """Puts the reader behind so many bytes of the present file, where a line begins."""
        for part in self._parts[:-1]:
            part.close()
        del self._parts[:-1]
        self._parts[0].file.seek(offset)

    def tail(self, messages: int) -> None:
        """Puts the reader before the last `messages`."""
        for number in range(len(self._parts) - 1, -1, -1):
            found = self._parts[number].tail(messages)
            messages -= found
            if messages == 0:
                for part in self._parts[:number]:
                    part.close()
                del self._parts[:number]
                return

    def seek(self, file: int, offset: int) -> bool:
        """Goes on at a position that `position` told; where that file is gone, with the oldest there is (False)."""
        for number, part in enumerate(self._parts):
            if part.stat.st_ino == file and not part.packed:
                for former in self._parts[:number]:
                    former.close()
                del self._parts[:number]
                part.file.seek(offset)
                return True
        return False

    def position(self, less: int) -> tuple[int, int]:
        """The file read last and how far, `less` so many bytes."""
        part = self._parts[0]
        return part.stat.st_ino, part.file.tell() - less

    def read(self) -> bytes:
        """The next piece; empty at the present end."""
        while not (data := self._parts[0].file.read(CHUNK)) and len(self._parts) > 1:
            self._parts.pop(0).close()
        return data

    def close(self) -> None:
        for part in self._parts:
            part.close()

    async def send(self, channel: Channel, decoder: Decoder) -> None:
        """Sends all there is up to the present end."""
        while not decoder.finished and (data := self.read()):
            if output := decoder.feed(data):
                await channel.write(output)

    async def begun(self, since: int, seconds: float, ended: asyncio.Future[Ended]) -> None:
        """Returns when something was written since (nanoseconds), the workload has ended, or the time is over."""
        watch = syscalls.inotify(str(self._path), CHANGES)
        try:
            about = os.stat(self._path)
            if not about.st_size or about.st_mtime_ns < since - TICK:  # an empty one was made, not written to
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(readable_or(watch, ended), seconds)
        finally:
            syscalls.watch_no_more(watch)

    async def follow(self, channel: Channel, decoder: Decoder, ended: asyncio.Future[Ended]) -> None:
        """Sends what is there and what comes, until the workload has ended and all of it was sent.

        `ended` is done after the monitor wrote its last byte; the file is read once more after that was seen.
        """
        watch = syscalls.inotify(str(self._path), CHANGES)
        try:
            while True:
                last, replaced = ended.done(), self.replaced()
                await self.send(channel, decoder)
                if decoder.finished or (last and not replaced):
                    return
                if replaced:
                    syscalls.watch_no_more(watch)
                    watch = syscalls.inotify(str(self._path), CHANGES)
                    self.go_on()
                else:
                    await readable_or(watch, ended)
        finally:
            syscalls.watch_no_more(watch)

    def replaced(self) -> bool:
        """Whether the monitor began a new file under the name; the old one then gets nothing more."""
        return not os.path.samestat(os.stat(self._path), self._parts[-1].stat)

    def go_on(self) -> None:
        """Takes what came after the part read last, which was read to its end."""
        last = self._parts[-1]
        fresh = _opened(self._path)
        known = [number for number, part in enumerate(fresh) if os.path.samestat(part.stat, last.stat)]
        # A compressed part is, or is older than, what was read last.
        first = known[0] + 1 if known else 1 if fresh[0].packed and len(fresh) > 1 else 0
        for part in (last, *fresh[:first]):
            part.close()
        self._parts = fresh[first:]


def _opened(path: Path) -> list[Part]:
    """The parts of a log, each file once; looked for again when the monitor begins a new one meanwhile."""
    while True:
        found = list(_each(path))
        if os.path.samestat(os.stat(path), found[-1].stat):
            return found
        for part in found:
            part.close()


def _each(path: Path) -> Iterator[Part]:
    seen = set()
    for name in rotation.parts(path):
        try:
            part = Part(name)
        except FileNotFoundError:
            if name == path:
                raise
            continue
        if (name != path and os.path.samestat(part.stat, os.stat(path))) or part.stat.st_ino in seen:
            part.close()
            continue
        seen.add(part.stat.st_ino)
        yield part


async def readable_or(watch: int, ended: asyncio.Future[Ended]) -> None:
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
