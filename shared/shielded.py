"""Work that is carried through whatever becomes of who asked for it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from shared.errors import ShoalError
from shared.tasks import TaskGroup

T = TypeVar("T")
Self = TypeVar("Self", bound="HasTasks")
Question = TypeVar("Question")


class HasTasks(Protocol):
    """What has endpoints that are carried through; `tasks` outlive each request."""

    tasks: TaskGroup


class _Outcome(msgspec.Struct, Generic[T]):
    result: T | None = None
    refusal: ShoalError | None = None


async def finish(tasks: TaskGroup, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, which goes on when the caller's deadline passes or it is cancelled."""
    outcome = await asyncio.shield(tasks.start(_outcome(work)))
    if outcome.refusal is not None:
        raise outcome.refusal
    return outcome.result  # type: ignore[return-value]  # None only where the work gives None


async def together(works: Iterable[Awaitable[T]]) -> list[T]:
    """The results of all of them, when every one has ended; raises the first failure only then: who takes things back
    must not be overtaken by what still makes some.
    """
    done = await asyncio.gather(*works, return_exceptions=True)
    results: list[T] = []
    for each in done:
        if isinstance(each, BaseException):
            raise each
        results.append(each)
    return results


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """As `asyncio.to_thread`, but whoever is cancelled is so only when the thread has ended.

    For work with what is closed or removed right after it: nothing can end a thread before.
    """
    running = asyncio.get_running_loop().create_task(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(running)
    finally:
        while not running.done():
            with suppress(asyncio.CancelledError):  # once more: it is said already
                await asyncio.wait((running,))


def carried_through(
    method: Callable[[Self, Question], Coroutine[Any, Any, T]],
) -> Callable[[Self, Question], Coroutine[Any, Any, T]]:
    """An endpoint that changes something: once begun it is done to the end, so that nothing is left half made."""

    @functools.wraps(method)
    async def endpoint(self: Self, request: Question) -> T:
        return await finish(self.tasks, method(self, request))

    return endpoint


async def _outcome(work: Coroutine[Any, Any, T]) -> _Outcome[T]:
    """A refusal is an answer, no failure of the task."""
    try:
        return _Outcome(result=await work)
    except ShoalError as refusal:
        return _Outcome(refusal=refusal)
