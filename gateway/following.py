"""Streams of a container that go on where it goes: when one ends because the container has moved, the next begins
there.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from shared.contracts import executor
from shared.errors import ShoalError
from shared.streams import Channel
from shared.streams.channel import CHUNK

from .context import Gateway
from .views import Container

PATIENCE = 10.0
"""Seconds to see what a stream's end means: an end of the container, or that it has moved."""
_ALIVE = ("running", "paused")


@dataclass
class Streams:
    """What is read from, and where input goes, if anywhere."""

    output: Channel
    input: Channel | None = None


class FollowingChannel:
    """A channel that is replaced by the next one when its output ends; `again` gives that, or None: it has ended."""

    def __init__(self, first: Channel, again: Callable[[], Awaitable[Streams | None]]) -> None:
        self.sock: socket.socket | None = None
        self._now = Streams(first, first)
        self._again = again

    async def read(self, limit: int = CHUNK) -> bytes:
        while True:
            broken = None
            try:
                if data := await self._now.output.read(limit):
                    return data
            except ConnectionError as error:
                broken = error  # its server is gone; perhaps since the container is
            following = await self._again()
            if following is None:
                if broken:
                    raise broken
                return b""
            self.close()
            self._now = following

    async def write(self, data: bytes) -> None:
        if self._now.input is not None:
            await self._now.input.write(data)

    async def write_frame(self, stream: int, payload: bytes) -> None:
        if self._now.input is not None:
            await self._now.input.write_frame(stream, payload)

    async def write_eof(self) -> None:
        if self._now.input is not None:
            await self._now.input.write_eof()

    def close(self) -> None:
        self._now.output.close()
        if self._now.input is not None and self._now.input is not self._now.output:
            self._now.input.close()


def following(
    gateway: Gateway, container: Container, channel: Channel, logs: executor.LogsRequest, stdin: bool = False
) -> Channel:
    """The container's output, of this channel and then, wherever it has moved, as `logs` has it from there on.

    On a host that is in no cluster the channel itself. `stdin`: what is written goes to the container.
    """
    if not gateway.kernel.clustered:
        return channel
    here = [container]

    async def again() -> Streams | None:
        there = await moved(gateway, here[0])
        if there is None:
            return None
        here[0] = there
        try:
            return await _streams(gateway, there, logs, stdin)
        except (ShoalError, ConnectionError):
            return None

    return FollowingChannel(channel, again)


async def _streams(gateway: Gateway, there: Container, logs: executor.LogsRequest, stdin: bool) -> Streams:
    wanted = executor.LogsRequest(
        id=there.id,
        stdout=logs.stdout,
        stderr=logs.stderr,
        follow=True,
        timestamps=logs.timestamps,
        details=logs.details,
        offset=there.status.log_came,
    )
    output = await gateway.kernel.streams.take(await gateway.call(executor.LOGS, wanted, there.node))
    if not stdin:
        return Streams(output)
    offer = await gateway.call(
        executor.ATTACH, executor.AttachRequest(id=there.id, stdin=True, stream=True), there.node
    )
    return Streams(output, await gateway.kernel.streams.take(offer))


async def moved(gateway: Gateway, before: Container) -> Container | None:
    """Where it runs now, if that is another host than before and it has not ended in between; waits until it is
    seen.
    """
    try:
        async with asyncio.timeout(PATIENCE), aclosing(gateway.containers.follow(before)) as changes:
            async for present in changes:
                if present is None or present.status.state not in _ALIVE or present.status.runs != before.status.runs:
                    return None
                if present.node != before.node:
                    return present
    except TimeoutError:
        return None
    return None
