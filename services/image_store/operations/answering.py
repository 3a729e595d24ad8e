"""What every operation that answers by a stream has in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shared.errors import ShoalError
from shared.streams import Channel

from ..domain import progress


async def answer(channel: Channel, work: Callable[[], Awaitable[None]], afterwards: Callable[[], None]) -> None:
    """Runs the work; an error becomes the last line of the answer."""
    try:
        await work()
    except ShoalError as error:
        await channel.write(progress.error(error.message, error.code))
    finally:
        afterwards()
