"""Typed calls, events and signals."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from shared import deadline, telemetry
from shared.bus import wire
from shared.bus.pending import NoResponders, Pending, Request, ServerGone
from shared.bus.transport import Callbacks, Delivery, Subscription, Transport
from shared.contracts.base import ROOT, Endpoint, Event, Message
from shared.errors import DeadlineExceeded, ShoalError, Unavailable
from shared.ids import new_token
from shared.tasks import TaskGroup

log = logging.getLogger(__name__)

Question = TypeVar("Question", bound=Message)
Reply = TypeVar("Reply", bound=Message)
M = TypeVar("M", bound=Message)

RESPONDER_WAIT = 3.0
"""Seconds for which a call waits for a server that is not there (it restarts in milliseconds) before `Unavailable`."""
STARTING_WAIT = 30.0
"""The same for one that is started for the call: a busy machine takes its time."""
_CLOSE_SECONDS = 1.0
INBOX = "_inbox_"
"""How subjects of answers begin, in lower case."""
_FIRST_RETRY, _LONGEST_RETRY = 0.01, 0.2


class Started(Message, frozen=True):
    """Signal `<service>.started`: a new instance serves; what its predecessor on that node worked on is gone."""

    service: str
    node: str
    instance: str


class Refused(Message, frozen=True):
    """Signal `<service>.refused`: the broker did not take an answer to `subject` (in lower case), since its
    configuration was read anew after the question came: that may be answered when it is sent once more.
    """

    subject: str


class _Ping(msgspec.Struct):
    """An answer to `$SRV.PING`."""

    metadata: dict[str, str]


class Bus:
    """One connection's calls and events. `node` is the host this process runs on."""

    def __init__(self, transport: Transport, node: str, name: str) -> None:
        self.transport = transport
        self.node = node
        self.name = name
        self.want: Callable[[str], bool] = lambda service: False
        """Called with each service of this host that was called and not heard; True when it is being started."""
        self._pending = Pending(transport, name)
        self._started: dict[tuple[str, str], Callbacks[[]]] = {}
        self._tasks = TaskGroup(f"bus:{name}")

    async def open(self) -> None:
        """Listens for replies, for restarts of servers and for answers that were refused."""
        await self._pending.open()
        await self.transport.subscribe(f"{ROOT}.signals.*.started", self._server_started)
        await self.transport.subscribe(f"{ROOT}.signals.*.refused", self._refused_there)
        self.transport.on_refused(self._refused_here)

    async def close(self) -> None:
        """Sends what was emitted, ends the calls that wait with `Unavailable`, disconnects."""
        await self._pending.close()
        await self._tasks.drain(_CLOSE_SECONDS)
        await self._tasks.close()
        await self.transport.close()

    async def call(
        self,
        endpoint: Endpoint[Question, Reply],
        request: Question,
        node: str = "",
        timeout: float | None = None,
    ) -> Reply:
        """The reply, or the error kind the server raised.

        The deadline is the nearest of `timeout`, the endpoint's and the caller's own. `Unavailable`: nobody
        serves it, or the server was replaced while it worked and the endpoint is not idempotent.
        `DeadlineExceeded`: the work may have been done. A call outlives a restart of the broker.
        """
        where = (node or self.node) if endpoint.host_bound else ""
        limit = endpoint.timeout if timeout is None else timeout
        with telemetry.client_span(endpoint.name) as headers, deadline.within(limit or None):
            headers[wire.REQUEST_ID] = new_token()
            server = (endpoint.service, where)
            far = where not in ("", self.node) and not where.startswith(f"{self.node}-")  # a driver of this host
            asked = Request(endpoint.subject(where), wire.encode(request), headers, server, far=far)
            delivery = await self._answer(asked)
            wire.raise_error(delivery.payload, delivery.headers)
            return wire.decode(delivery.payload, endpoint.reply)

    async def _answer(self, request: Request, patience: float | None = None) -> Delivery:
        """Asks until somebody answers; `patience`: how long nobody may be there, None: RESPONDER_WAIT."""
        loop = asyncio.get_running_loop()
        patience = RESPONDER_WAIT if patience is None else patience
        begun, pause = loop.time(), _FIRST_RETRY
        give_up = begun + patience
        while True:
            try:
                return await self._pending.request(request, deadline.left())
            except NoResponders:
                if request.server[1] == self.node and self.want(request.server[0]):
                    give_up = max(give_up, begun + STARTING_WAIT)
                if loop.time() + pause > give_up:
                    who = f"the engine service {request.server[0]}" if request.server[0] else "the broker"
                    raise Unavailable(f"{who} does not answer {request.subject}; see: shoal status") from None
            except ServerGone:  # the next one knows whether to do it again
                give_up = loop.time() + patience
            except TimeoutError:
                raise DeadlineExceeded(f"{request.subject}: no answer in time") from None
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_RETRY)

    def _server_started(self, delivery: Delivery) -> None:
        try:
            started = wire.decode(delivery.payload, Started)
        except ShoalError as error:
            log.warning("%s: %s", delivery.subject, error)
            return
        self._pending.server_started(started.service, started.node)
        for node in ("", started.node):
            if (started.service, node) in self._started:
                self._started[started.service, node].call()

    def _refused_here(self, subject: str) -> None:
        if subject.startswith(INBOX):
            told = wire.encode(Refused(subject=subject))
            self._tasks.start(self._emit(f"{ROOT}.signals.{self.name}.refused", told, {}), "refused")

    def _refused_there(self, delivery: Delivery) -> None:
        try:
            self._pending.unanswered(wire.decode(delivery.payload, Refused).subject)
        except ShoalError as error:
            log.warning("%s: %s", delivery.subject, error)

    def on_started(self, service: str, callback: Callable[[], None], node: str = "") -> Callable[[], None]:
        """Calls back when a new instance of a service begins to serve, on any node or that one; returns what ends
        this.
        """
        return self._started.setdefault((service, node), Callbacks()).add(callback)

    def emit(self, event: Event[M], message: M, suffix: str = "") -> None:
        """Tells an event without waiting; `suffix` is appended to its subject (`container` + `start`).

        What follows a colon in Docker's actions (`exec_start: sh`) stays out of the subject. Told while a request is
        worked on, it is sent before the answer to that request.
        """
        self._tasks.start(self._emit(_event_subject(event, suffix), wire.encode(message), telemetry.inject({})), "emit")

    async def tell(self, event: Event[M], message: M, suffix: str = "") -> None:
        """Tells an event and returns when the broker has it: who is asked from then on was told before.

        As with `emit`, an event that cannot be sent is lost and logged. Waits for a broker that is away.
        """
        await self._emit(_event_subject(event, suffix), wire.encode(message), telemetry.inject({}))
        try:
            await self.transport.flush()
        except ShoalError as error:
            log.warning("whether an event arrived is not known: %s", error)

    async def _emit(self, subject: str, payload: bytes, headers: dict[str, str]) -> None:
        try:
            await self.transport.publish(subject, payload, headers)
        except ShoalError as error:
            log.warning("event lost: %s", error)

    async def listen(self, event: Event[M], handler: Callable[[M], Awaitable[None]]) -> Subscription:
        """Calls the handler for each event or signal from now on, in a task each, until what it returns is drained."""

        def receive(delivery: Delivery) -> None:
            self._tasks.start(self._handle(event, handler, delivery), f"event {event.name}")

        return await self.transport.subscribe(_every(event), receive)

    async def hear(self, event: Event[M], callback: Callable[[M], object]) -> Subscription:
        """Calls back for each event or signal from now on, at once and in order with answers to calls.

        For who only passes on or notes what it hears: there is neither task nor span.
        """

        def receive(delivery: Delivery) -> None:
            try:
                callback(wire.decode(delivery.payload, event.message))
            except ShoalError as error:
                log.warning("event %s: %s", event.name, error)

        return await self.transport.subscribe(_every(event), receive)

    @staticmethod
    async def _handle(event: Event[M], handler: Callable[[M], Awaitable[None]], delivery: Delivery) -> None:
        try:
            with telemetry.server_span(f"event {event.name}", delivery.headers):
                await handler(wire.decode(delivery.payload, event.message))
        except ShoalError as error:
            log.warning("event %s: %s", event.name, error)

    async def nodes_of(
        self, service: str, seconds: float, told: Callable[[str], object] = lambda node: None
    ) -> tuple[str, ...]:
        """The hosts on which a service answers discovery (NATS ADR-32) within so many seconds; `told` each at once."""
        found: dict[str, None] = {}

        def receive(delivery: Delivery) -> None:
            try:
                node = msgspec.json.decode(delivery.payload, type=_Ping).metadata["node"]
            except (msgspec.DecodeError, KeyError):
                return  # nobody there, or one without a node
            found[node] = None
            told(node)

        inbox = f"{self.transport.inbox}.ping.{new_token()}"
        subscription = await self.transport.subscribe(inbox, receive)
        try:
            await self.transport.publish(f"$SRV.PING.{service}", b"", reply=inbox)
            await asyncio.sleep(seconds)
        finally:
            await subscription.drain()
        return tuple(found)

    async def request_raw(
        self,
        subject: str,
        payload: bytes,
        headers: dict[str, str] | None = None,
        timeout: float = 10.0,
        patience: float | None = None,
        insist: bool = True,
    ) -> Delivery:
        """Asks without a contract, such as a broker itself (JetStream's API). Raises `Unavailable`.

        Another host's is asked again while it is silent, but not without `insist`: what must be done once at most.
        """
        far = insist and subject.startswith("$JS.") and not subject.startswith("$JS.API.")  # of another domain
        try:
            with deadline.within(timeout):
                return await self._answer(Request(subject, payload, dict(headers or {}), far=far), patience)
        except DeadlineExceeded:
            raise Unavailable(f"the broker does not answer {subject}") from None


def _every(event: Event[M]) -> str:
    return f"{event.subject}.>" if event.kept else event.subject


def _event_subject(event: Event[M], suffix: str) -> str:
    """What follows a colon in Docker's actions (`exec_start: sh`) stays out of the subject."""
    return f"{event.subject}.{suffix.partition(':')[0]}" if suffix else event.subject
