"""Copies bytes between a client's connection and a service's stream, unparsed, with flow control both ways."""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal, Protocol

from shared.streams import Channel
from shared.streams.frames import STDERR, STDOUT, Deframer, frame
from shared.tasks import TaskGroup

from .http.detach import Scanner
from .http.inbox import ClientGone
from .http.outlet import Stream


class Client(Protocol):
    """The client's side: a hijacked connection or a WebSocket."""

    async def read(self) -> bytes: ...

    async def write(self, data: bytes) -> None: ...

    def fileno(self) -> int: ...

    def close(self) -> None: ...


Convert = Callable[[bytes], bytes]
End = Literal["ended", "keys", "gone"]
"""How a relay ended: by the service, by the client's detach keys, by the client's going."""


def unframed(*streams: int) -> Convert:
    """The payload of the frames of these streams (default: both outputs), whatever the pieces they come in."""
    deframer, wanted = Deframer(), streams or (STDOUT, STDERR)
    return lambda data: b"".join(payload for stream, payload in deframer.feed(data) if stream in wanted)


def framed(data: bytes) -> bytes:
    """A terminal's output as frames of standard output."""
    return frame(STDOUT, data)


async def relay(
    client: Client,
    channel: Channel,
    stdin: bool,
    scanner: Scanner | None = None,
    convert: Convert | None = None,
) -> End:
    """Until the service ends its direction, the client goes, or it types its detach keys; which of these it was.

    The client's half-close is passed on; output goes on after it. With `convert` the client gets what that makes of
    each piece of output.
    """
    tasks = TaskGroup("relay")
    output = tasks.start(_output(channel, client, convert), "output")
    keys = tasks.start(_input(client, channel, stdin, scanner, output), "input")
    try:
        async with _closed(client, output):
            await asyncio.wait((output,))
    finally:
        await tasks.close()  # before the descriptors they wait on are closed, and their numbers used again
        channel.close()
        client.close()
    if not keys.cancelled() and keys.result():
        return "keys"
    return "gone" if output.cancelled() else output.result()


async def _output(channel: Channel, client: Client, convert: Convert | None) -> End:
    try:
        while data := await channel.read():
            await client.write(data if convert is None else convert(data))
    except ClientGone:
        return "gone"
    except ConnectionError:
        pass  # the service is gone: the end of the relay closes the client's side
    return "ended"


async def _input(
    client: Client, channel: Channel, stdin: bool, scanner: Scanner | None, output: asyncio.Task[End]
) -> bool:
    """Whether the client typed its detach keys."""
    try:
        while data := await client.read():
            if not stdin:
                continue  # read to see its end; nobody wants it
            detached = False
            if scanner is not None:
                data, detached = scanner.feed(data)
            if data:
                await channel.write(data)
            if detached:
                output.cancel()
                return True
        if scanner is not None and (rest := scanner.rest()):
            await channel.write(rest)
        if stdin:
            await channel.write_eof()
    except ClientGone:
        output.cancel()
    except ConnectionError:
        pass  # the program has closed its input; what it still says is wanted
    return False


@asynccontextmanager
async def _closed(client: Client, output: asyncio.Task[End]) -> AsyncIterator[None]:
    """Ends the relay when the client closes both directions, which its half-close alone does not tell.

    The kernel reports it as a hang-up, and an epoll descriptor that waits for nothing else becomes readable.
    """
    descriptor = client.fileno()
    if descriptor < 0:
        yield
        return
    loop = asyncio.get_running_loop()
    watcher = select.epoll()
    try:
        watcher.register(descriptor, 0)
        loop.add_reader(watcher.fileno(), output.cancel)
        yield
    finally:
        loop.remove_reader(watcher.fileno())
        watcher.close()


async def send_out(channel: Channel, stream: Stream) -> None:
    """A service's output as a streamed answer; ends with the service's end, or is broken off as that is."""
    try:
        while data := await channel.read():
            await stream.write(data)
    except ClientGone:
        raise
    except ConnectionError:
        stream.break_off()
    finally:
        channel.close()
