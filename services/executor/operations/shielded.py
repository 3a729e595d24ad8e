"""Work that is carried through whatever becomes of who asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

import msgspec

from shared.errors import ShoalError
from shared.tasks import TaskGroup

T = TypeVar("T")


class _Outcome(msgspec.Struct, Generic[T]):
    result: T | None = None
    refusal: ShoalError | None = None


async def finish(tasks: TaskGroup, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, which goes on when the caller's deadline passes or it is cancelled."""
    outcome = await asyncio.shield(tasks.start(_outcome(work)))
    if outcome.refusal is not None:
        raise outcome.refusal
    return outcome.result  # type: ignore[return-value]  # None only where the work gives None


async def _outcome(work: Coroutine[Any, Any, T]) -> _Outcome[T]:
    """A refusal is an answer, no failure of the task."""
    try:
        return _Outcome(result=await work)
    except ShoalError as refusal:
        return _Outcome(refusal=refusal)
