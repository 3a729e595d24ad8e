"""The in-memory twin of the broker: same semantics, no process. For tests of services."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping

from shared.bus.transport import Callbacks, Delivery, Receiver, matches
from shared.ids import new_token


class _Subscription:
    def __init__(self, broker: MemoryBroker, subject: str, receiver: Receiver, queue: str) -> None:
        self.subject, self.receiver, self.queue = subject, receiver, queue
        self._broker = broker

    async def drain(self) -> None:
        self._broker.subscriptions.pop(self, None)
        await asyncio.sleep(0)  # behind the deliveries of earlier messages


class MemoryBroker:
    """Routes between the `MemoryTransport`s made by `connect`. Deliveries happen in later turns of the loop."""

    def __init__(self) -> None:
        self.subscriptions: dict[_Subscription, None] = {}
        self._turn = itertools.count()

    def connect(self) -> MemoryTransport:
        return MemoryTransport(self)

    def route(self, delivery: Delivery) -> None:
        """Delivers to every plain subscription and to one of each queue group."""
        groups: dict[str, list[_Subscription]] = {}
        heard = False
        for subscription in tuple(self.subscriptions):
            if matches(subscription.subject, delivery.subject):
                heard = True
                if subscription.queue:
                    groups.setdefault(subscription.queue, []).append(subscription)
                else:
                    self._hand(subscription, delivery)
        for members in groups.values():
            self._hand(members[next(self._turn) % len(members)], delivery)
        if not heard and delivery.reply:
            self.route(Delivery(delivery.reply, b"", {"Status": "503"}))

    @staticmethod
    def _hand(subscription: _Subscription, delivery: Delivery) -> None:
        asyncio.get_running_loop().call_soon(subscription.receiver, delivery)


class MemoryTransport:
    """A connection to a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.inbox = f"_INBOX.{new_token()}"
        self._broker = broker
        self._mine: list[_Subscription] = []
        self._reconnected: Callbacks[[]] = Callbacks()
        self._never: Callbacks[...] = Callbacks()
        self.connected = True

    async def publish(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        self._broker.route(Delivery(subject, payload, dict(headers or {}), reply))

    async def subscribe(self, subject: str, receiver: Receiver, queue: str = "") -> _Subscription:
        subscription = _Subscription(self._broker, subject, receiver, queue)
        self._broker.subscriptions[subscription] = None
        self._mine.append(subscription)
        return subscription

    async def flush(self) -> None:
        await asyncio.sleep(0)

    def on_reconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._reconnected.add(callback)

    def on_refused(self, callback: Callable[[str], None]) -> Callable[[], None]:
        return self._never.add(callback)

    def on_lost(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._never.add(callback)

    def reconnect(self) -> None:
        """Plays a broken and restored connection, as far as callers notice."""
        self._reconnected.call()

    async def close(self) -> None:
        for subscription in self._mine:
            self._broker.subscriptions.pop(subscription, None)
