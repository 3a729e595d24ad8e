"""What every operation that answers by a stream has in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from shared.errors import ShoalError
from shared.streams import Channel

from ..domain import progress

PATIENCE = 5.0
"""Seconds for which a sender may go on after an error."""


async def answer(channel: Channel, work: Callable[[], Awaitable[None]], afterwards: Callable[[], None]) -> None:
    """Runs the work; an error becomes the last line of the answer."""
    try:
        await work()
    except ShoalError as error:
        await channel.write(progress.error(error.message, error.code))
        await _hear_out(channel)
    finally:
        afterwards()


async def _hear_out(channel: Channel) -> None:
    """Takes what the other side still sends: closing before it has ended would cost it the answer."""
    await channel.write_eof()
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while await channel.read():
                pass
