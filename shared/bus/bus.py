"""Typed calls, events and signals."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from shared import deadline, telemetry
from shared.bus import wire
from shared.bus.pending import NoResponders, Pending, ServerGone
from shared.bus.transport import Delivery, Transport
from shared.contracts.base import ROOT, Endpoint, Event, Message
from shared.errors import DeadlineExceeded, NotFound, ShoalError, Unavailable
from shared.ids import new_token
from shared.tasks import TaskGroup

log = logging.getLogger(__name__)

Request = TypeVar("Request", bound=Message)
Reply = TypeVar("Reply", bound=Message)
M = TypeVar("M", bound=Message)

RESPONDER_WAIT = 3.0
"""Seconds for which a call waits for a server that is not there (it restarts in milliseconds) before `Unavailable`."""
_FIRST_RETRY, _LONGEST_RETRY = 0.01, 0.2


class Started(Message, frozen=True):
    """Signal `<service>.started`: a new instance serves; what its predecessor on that node worked on is gone."""

    service: str
    node: str
    instance: str


class Bus:
    """One connection's calls and events. `node` is the host this process runs on."""

    def __init__(self, transport: Transport, node: str, name: str) -> None:
        self.transport = transport
        self.node = node
        self.name = name
        self._pending = Pending(transport)
        self._tasks = TaskGroup(f"bus:{name}")

    async def open(self) -> None:
        """Listens for replies and for restarts of servers."""
        await self._pending.open()
        await self.transport.subscribe(f"{ROOT}.signals.*.started", self._server_started)

    async def close(self) -> None:
        self._pending.close()
        await self._tasks.close()
        await self.transport.close()

    async def call(
        self,
        endpoint: Endpoint[Request, Reply],
        request: Request,
        node: str = "",
        timeout: float | None = None,
    ) -> Reply:
        """The reply, or the error kind the server raised.

        The deadline is the nearest of `timeout`, the endpoint's and the caller's own. `Unavailable`: nobody
        serves it, or the server went away and the endpoint is not idempotent. `DeadlineExceeded`: the work may
        have been done. A call outlives a restart of the broker.
        """
        where = (node or self.node) if endpoint.host_bound else ""
        limit = endpoint.timeout if timeout is None else timeout
        with telemetry.client_span(endpoint.name) as headers, deadline.within(limit or None):
            subject, payload = endpoint.subject(where), wire.encode(request)
            headers[wire.REQUEST_ID] = new_token()
            server = (endpoint.service, where)
            delivery = await self._until_answered(subject, payload, headers, server, endpoint.idempotent)
            wire.raise_error(delivery.payload, delivery.headers)
            return wire.decode(delivery.payload, endpoint.reply)

    async def _until_answered(
        self, subject: str, payload: bytes, headers: dict[str, str], server: tuple[str, str], idempotent: bool
    ) -> Delivery:
        loop = asyncio.get_running_loop()
        give_up, pause = loop.time() + RESPONDER_WAIT, _FIRST_RETRY
        while True:
            left = deadline.left()
            if left is not None:
                headers[wire.TIMEOUT] = str(max(1, int(left * 1000)))
            try:
                return await self._pending.request(subject, payload, headers, server, left)
            except NoResponders:
                if loop.time() + pause > give_up:
                    raise Unavailable(f"the engine service {server[0]} does not answer; see: shoal status") from None
            except ServerGone:
                if not idempotent:
                    raise Unavailable(f"the engine service {server[0]} restarted during the call") from None
            except TimeoutError:
                raise DeadlineExceeded(f"{subject}: no answer in time") from None
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_RETRY)

    def _server_started(self, delivery: Delivery) -> None:
        started = wire.decode(delivery.payload, Started)
        self._pending.server_started(started.service, started.node)

    def emit(self, event: Event[M], message: M, suffix: str = "") -> None:
        """Tells an event without waiting; `suffix` is appended to its subject (`container` + `start`).

        What follows a colon in Docker's actions (`exec_start: sh`) stays out of the subject.
        """
        subject = f"{event.subject}.{suffix.partition(':')[0]}" if suffix else event.subject
        headers = telemetry.inject({})
        self._tasks.start(self.transport.publish(subject, wire.encode(message), headers), "emit")

    async def listen(self, event: Event[M], handler: Callable[[M], Awaitable[None]]) -> None:
        """Calls the handler for each event or signal from now on, in a task each."""

        def receive(delivery: Delivery) -> None:
            self._tasks.start(self._handle(event, handler, delivery), f"event {event.name}")

        subject = f"{event.subject}.>" if event.kept else event.subject
        await self.transport.subscribe(subject, receive)

    @staticmethod
    async def _handle(event: Event[M], handler: Callable[[M], Awaitable[None]], delivery: Delivery) -> None:
        try:
            with telemetry.server_span(f"event {event.name}", delivery.headers):
                await handler(wire.decode(delivery.payload, event.message))
        except ShoalError as error:
            log.warning("event %s: %s", event.name, error)

    async def request_raw(
        self, subject: str, payload: bytes, headers: dict[str, str] | None = None, timeout: float = 10.0
    ) -> Delivery:
        """Asks the broker itself (JetStream's API). `NotFound` when nobody serves the subject."""
        try:
            return await self._pending.request(subject, payload, headers or {}, ("", ""), timeout)
        except NoResponders:
            raise NotFound(f"nobody answers {subject}") from None
        except TimeoutError:
            raise Unavailable("the broker does not answer") from None
