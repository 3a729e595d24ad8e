"""Serving a contract: subscriptions, dispatch, discovery."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, get_type_hints

from shared import deadline, telemetry
from shared.bus import wire
from shared.bus.answers import Answer, Answers
from shared.bus.bus import Bus, Started
from shared.bus.discovery import Discovery
from shared.bus.transport import Delivery, Subscription
from shared.contracts.base import ROOT, Contract, Endpoint, Message
from shared.errors import DeadlineExceeded, Internal, ShoalError, Unavailable
from shared.ids import new_token
from shared.tasks import TaskGroup

log = logging.getLogger(__name__)

TRANSIT = 0.05
"""Seconds a message may be under way, when ages are compared."""

Handler = Callable[[Any], Awaitable[Message]]


def bind(contract: Contract, implementation: object) -> dict[str, Handler]:
    """The methods that serve a contract; `TypeError` for one that is missing or typed differently."""
    return {endpoint.operation: _method(endpoint, implementation) for endpoint in contract.endpoints}


def _method(endpoint: Endpoint[Any, Any], implementation: object) -> Handler:
    method = getattr(implementation, endpoint.operation, None)
    if method is None:
        raise TypeError(f"{type(implementation).__name__} has no method for {endpoint.name}")
    hints = get_type_hints(method)
    reply = hints.pop("return", None)
    if list(hints.values()) != [endpoint.request] or reply is not endpoint.reply:
        wanted = f"({endpoint.request.__name__}) -> {endpoint.reply.__name__}"
        raise TypeError(f"{type(implementation).__name__}.{endpoint.operation} is not {wanted}")
    return method  # type: ignore[no-any-return]


class Server:
    """One instance of a service on the bus; `node`: what it is addressed as, if not as the bus's own."""

    def __init__(self, bus: Bus, contract: Contract, implementation: object, node: str = "") -> None:
        self.instance = new_token()[:16]
        self._node = node or bus.node
        self._bus, self._contract = bus, contract
        self._handlers = bind(contract, implementation)
        self._discovery = Discovery(bus.transport, contract, self.instance, self._node)
        self._subscriptions: list[Subscription] = []
        self._tasks, self._work_tasks = TaskGroup(f"serve {contract.name}"), TaskGroup(contract.name)
        self._answers = Answers()
        self._since = 0.0

    async def open(self) -> None:
        """Tells that a new instance is here (what the last one worked on is gone), then serves.

        Raises `PermissionDenied` when the broker does not let it hear its endpoints.
        """
        started = Started(service=self._contract.name, node=self._node, instance=self.instance)
        await self._bus.transport.publish(f"{ROOT}.signals.{self._contract.name}.started", wire.encode(started))
        await self._bus.transport.flush()
        self._since = asyncio.get_running_loop().time()
        await self.listen()
        await self._discovery.open()
        await self._bus.transport.flush()

    async def listen(self) -> None:
        """Takes requests; after `withdraw` again, as the same instance."""
        for endpoint in self._contract.endpoints:
            await self._subscribe(endpoint)

    async def withdraw(self) -> None:
        """Takes no more requests; those that the broker had for it have all begun when this returns."""
        subscriptions, self._subscriptions = self._subscriptions, []
        await asyncio.gather(*(subscription.drain() for subscription in subscriptions))

    async def _subscribe(self, endpoint: Endpoint[Any, Any]) -> None:
        handler = self._handlers[endpoint.operation]

        def receive(delivery: Delivery) -> None:
            self._tasks.start(self._serve(endpoint, handler, delivery), endpoint.name)

        subject = endpoint.subject(self._node if endpoint.host_bound else "")
        queue = "" if endpoint.host_bound else endpoint.service
        self._subscriptions.append(await self._bus.transport.subscribe(subject, receive, queue))

    async def close(self, patience: float) -> None:
        """Takes no more requests, ends those it has (at most `patience` seconds), answers all of them, leaves."""
        await self._discovery.close()
        await self.withdraw()
        await self._tasks.drain(patience)
        self._work_tasks.cancel()
        await self._tasks.drain(patience)
        await self._tasks.close()

    @property
    def at_rest(self) -> bool:
        """Whether it has no request."""
        return not len(self._tasks) and not len(self._work_tasks)

    async def _serve(self, endpoint: Endpoint[Any, Any], handler: Handler, delivery: Delivery) -> None:
        request_id = delivery.headers.get(wire.REQUEST_ID, "")
        known = self._answers.get(request_id)
        if isinstance(known, tuple):
            payload, headers = known
        elif known is None and self._is_lost(endpoint, delivery):
            payload, headers = wire.encode_error(Unavailable(f"{endpoint.service} was restarted during the call"))
        else:
            payload, headers = await self._answer(known or self._begin(request_id, endpoint, handler, delivery))
        if delivery.reply:
            await self._reply(delivery.reply, payload, headers)

    @staticmethod
    async def _answer(work: asyncio.Task[Answer]) -> Answer:
        await asyncio.wait([work])
        return (b"", {wire.GONE: "1"}) if work.cancelled() else work.result()

    def _is_lost(self, endpoint: Endpoint[Any, Any], delivery: Delivery) -> bool:
        """Whether a predecessor may have done, or half done, what must not be done twice."""
        age = delivery.headers.get(wire.AGE, "")
        up = asyncio.get_running_loop().time() - self._since
        return not endpoint.idempotent and age.isdecimal() and int(age) / 1000 > up + TRANSIT

    def _begin(
        self, request_id: str, endpoint: Endpoint[Any, Any], handler: Handler, delivery: Delivery
    ) -> asyncio.Task[Answer]:
        work = self._work_tasks.start(self._work(endpoint, handler, delivery), endpoint.operation)
        if request_id:
            self._answers.add(request_id, work, keep=not endpoint.idempotent)
        return work

    async def _reply(self, subject: str, payload: bytes, headers: dict[str, str]) -> None:
        try:
            await self._bus.transport.publish(subject, payload, headers)
        except ShoalError as error:  # too large, for one: the caller must not wait for ever
            log.error("answer not sent: %s", error)
            await self._bus.transport.publish(subject, *wire.encode_error(error))

    async def _work(self, endpoint: Endpoint[Any, Any], handler: Handler, delivery: Delivery) -> Answer:
        left = delivery.headers.get(wire.TIMEOUT, "")
        seconds = int(left) / 1000 if left.isdecimal() else None
        begun = time.monotonic()
        with telemetry.server_span(endpoint.name, delivery.headers) as span, deadline.within(seconds):
            try:
                async with asyncio.timeout(seconds):
                    reply = await handler(wire.decode(delivery.payload, endpoint.request))
                self._count(endpoint, begun, None)
                return wire.encode(reply), {}
            except TimeoutError:
                error: ShoalError = DeadlineExceeded(f"{endpoint.name}: the deadline passed")
            except ShoalError as known:
                error = known
            except Exception as unknown:  # noqa: BLE001  # the dispatcher: the only place that catches all
                error = self._internal(endpoint, unknown)
            telemetry.record_error(span, error)
            self._count(endpoint, begun, error)
            return wire.encode_error(error)

    def _count(self, endpoint: Endpoint[Any, Any], begun: float, error: ShoalError | None) -> None:
        self._discovery.count(endpoint.operation, time.monotonic() - begun, error)

    @staticmethod
    def _internal(endpoint: Endpoint[Any, Any], unknown: Exception) -> Internal:
        error_id = new_token()[:12]
        log.error("%s failed, error id %s", endpoint.name, error_id, exc_info=unknown)
        return Internal(f"internal error {error_id}; its trace is in the log of {endpoint.service}")
