"""Writes that must be done: while the store is away they are tried again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from shared.errors import DeadlineExceeded, ResourceExhausted, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")
_PASSING = (Unavailable, DeadlineExceeded, ResourceExhausted)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0


async def patiently(write: Callable[[], Awaitable[T]]) -> T:
    """Tries a write until the store takes or refuses it."""
    pause = _FIRST_PAUSE
    while True:
        try:
            return await write()
        except _PASSING as error:
            log.warning("%s; trying again", error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
