"""What every operation that answers by a stream has in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from shared.errors import ResourceExhausted, ShoalError
from shared.streams import Channel

from ..adapters.disk import full_disk_told
from ..domain import progress

PATIENCE = 5.0
"""Seconds for which a sender may go on after an error."""
_INSUFFICIENT_STORAGE = 507
"""The line carries the HTTP status that the answer would have had; here the disk is all that can be exhausted."""


async def answer(channel: Channel, work: Callable[[], Awaitable[None]], afterwards: Callable[[], None]) -> None:
    """Runs the work; an error becomes the last line of the answer, and so does a full disk."""
    try:
        with full_disk_told():
            await work()
    except ShoalError as error:
        await _refuse(channel, error)
    finally:
        afterwards()


async def _refuse(channel: Channel, error: ShoalError) -> None:
    code = _INSUFFICIENT_STORAGE if isinstance(error, ResourceExhausted) else error.code
    await channel.write(progress.error(error.message, code))
    await _hear_out(channel)


async def _hear_out(channel: Channel) -> None:
    """Takes what the other side still sends: closing before it has ended would cost it the answer."""
    await channel.write_eof()
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while await channel.read():
                pass
