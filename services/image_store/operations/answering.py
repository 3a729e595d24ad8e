"""What every operation that answers by a stream has in common."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

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


async def while_wanted(channel: Channel, work: Coroutine[Any, Any, None]) -> None:
    """Does the work; cancels it when the taker of the stream closes it. (That it ends its direction means nothing.)"""
    task = asyncio.current_task()
    assert task is not None
    sock = channel.sock
    if sock is None:  # of another host: the next write fails
        return await work
    loop, hung_up = asyncio.get_running_loop(), select.epoll()
    try:
        hung_up.register(sock.fileno(), 0)  # nothing but a hang-up
        loop.add_reader(hung_up.fileno(), task.cancel)
        await work
    finally:
        loop.remove_reader(hung_up.fileno())
        hung_up.close()
    return None
