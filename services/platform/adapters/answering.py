"""The answer at the end of a stream that came in: `{}`, or Docker's error line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec

from shared.errors import ResourceExhausted, ShoalError
from shared.streams import Channel

PATIENCE = 5.0
"""Seconds for which a sender may go on after an error."""
_INSUFFICIENT_STORAGE = 507


@asynccontextmanager
async def answering(channel: Channel) -> AsyncIterator[None]:
    """Tells the other side how the block ended."""
    try:
        yield
    except ShoalError as error:
        code = _INSUFFICIENT_STORAGE if isinstance(error, ResourceExhausted) else error.code
        line = {"errorDetail": {"code": code, "message": error.message}, "error": error.message}
        await channel.write(msgspec.json.encode(line) + b"\n")
        await _hear_out(channel)
    else:
        await channel.write(b"{}\n")


async def _hear_out(channel: Channel) -> None:
    """Takes what the other side still sends: closing before it has ended would cost it the answer."""
    await channel.write_eof()
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while await channel.read():
                pass
