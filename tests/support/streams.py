"""Both ends of streams, for tests."""

from __future__ import annotations

from shared.streams import Channel

MEGABYTE = bytes(range(256)) * 4096


async def read_all(channel: Channel) -> bytes:
    """What comes until the other side ends its direction."""
    got = bytearray()
    while data := await channel.read():
        got += data
    return bytes(got)


async def echo(channel: Channel) -> None:
    """Serves a stream that sends back what it gets."""
    while data := await channel.read():
        await channel.write(data)
