"""What the client sees: lines go out as they come, or wait for the end of a quiet build."""

from __future__ import annotations

import asyncio

from shared.contracts.builder import END
from shared.streams import Channel
from shared.tasks import TaskGroup

MOST_WAITING = 8 << 20
MOST_AT_ONCE = 1000


class Screen:
    """Lines are taken without waiting; `room` waits while the client is slow. `gone` is set when it has left."""

    def __init__(self, channel: Channel, quiet: bool) -> None:
        self._channel, self._quiet = channel, quiet
        self._kept: list[bytes] = []
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._held = self._waiting = 0
        self._room, self.gone = asyncio.Event(), asyncio.Event()
        self._room.set()
        self._tasks = TaskGroup("screen")
        self._sending = self._tasks.start(self._send(), "send")
        self.used = False

    def show(self, line: bytes) -> None:
        """One line of a build."""
        self.used = True
        if not self._quiet:
            self._put(line)
        elif self._held < MOST_WAITING:
            self._held += len(line)
            self._kept.append(line)

    def _put(self, line: bytes) -> None:
        self._waiting += len(line)
        if self._waiting > MOST_WAITING:
            self._room.clear()
        self._lines.put_nowait(line)

    async def room(self) -> None:
        """Returns when another line may come."""
        await self._room.wait()

    async def end(self, last: bytes = b"", failed: bool = False) -> None:
        """Sends the last line; a quiet build that failed shows all that came before."""
        if failed:
            for line in self._kept:
                self._put(line)
        if last:
            self._put(last)
        self._put(END)
        self._lines.put_nowait(None)
        await self._sending

    async def _send(self) -> None:
        try:
            while data := await self._next():
                await self._channel.write(data)
                self._waiting -= len(data)
                if self._waiting <= MOST_WAITING:
                    self._room.set()
        except ConnectionError:
            self.gone.set()
            self._room.set()

    async def _next(self) -> bytes:
        """What waits, joined; b"" at the end."""
        lines: list[bytes] = []
        while len(lines) < MOST_AT_ONCE and not (lines and self._lines.empty()):
            line = await self._lines.get()
            if line is None:
                if lines:
                    self._lines.put_nowait(None)
                break
            lines.append(line)
        return b"".join(lines)

    async def close(self) -> None:
        self._room.set()
        await self._tasks.close()
