"""How a simulator misbehaves: fail, hang, lose its answer."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from shared.contracts.base import Message
from shared.errors import ShoalError


class Behaviour:
    """Every simulated operation calls `enter` first and `leave` last.

    `fail[operation]` are errors for its next calls, before anything is done; `fail_after[operation]` after it was
    done (the answer is lost). `hold(operation)` makes calls wait until `let_go`.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, Message]] = []
        self.fail: dict[str, list[ShoalError]] = defaultdict(list)
        self.fail_after: dict[str, list[ShoalError]] = defaultdict(list)
        self._held: dict[str, asyncio.Event] = {}
        self._arrived: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def count(self, operation: str) -> int:
        return sum(name == operation for name, _ in self.calls)

    def requests(self, operation: str) -> list[Message]:
        return [request for name, request in self.calls if name == operation]

    def hold(self, operation: str) -> None:
        self._held[operation] = asyncio.Event()
        self._arrived[operation].clear()

    def let_go(self, operation: str) -> None:
        self._held.pop(operation).set()

    async def arrived(self, operation: str) -> None:
        """Returns once a call waits in `hold`."""
        await self._arrived[operation].wait()

    async def enter(self, operation: str, request: Message) -> None:
        self.calls.append((operation, request))
        held = self._held.get(operation)
        if held is not None:
            self._arrived[operation].set()
            await held.wait()
        if self.fail[operation]:
            raise self.fail[operation].pop(0)

    def leave(self, operation: str) -> None:
        if self.fail_after[operation]:
            raise self.fail_after[operation].pop(0)
