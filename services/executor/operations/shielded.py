"""Work that is carried through whatever becomes of who asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from shared.tasks import TaskGroup

T = TypeVar("T")


async def finish(tasks: TaskGroup, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, which goes on when the caller's deadline passes or it is cancelled."""
    return await asyncio.shield(tasks.start(work))
