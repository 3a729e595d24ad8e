"""Requests that wait for their reply."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from shared.bus import wire
from shared.bus.transport import Delivery, Transport
from shared.errors import PermissionDenied, ShoalError, Unavailable
from shared.tasks import TaskGroup

FIRST_AGAIN, LAST_AGAIN = 1.0, 8.0
"""Seconds without an answer from another host before a request is sent again, at first and at most."""


class NoResponders(Exception):
    """Nobody hears the subject now."""


class ServerGone(Exception):
    """The server that may have had the request was replaced before it answered."""


@dataclass(eq=False)
class Request:
    """One request, however often it is sent. `server`: service and node, empty for the broker itself.

    `begun`: time of the loop when it was first sent to where somebody may have heard it.
    """

    subject: str
    payload: bytes
    headers: dict[str, str]
    server: tuple[str, str] = ("", "")
    begun: float | None = None
    far: bool = False
    """It goes to another host: a link between hosts may break and lose it, or its answer, and nobody is told."""


@dataclass(eq=False)
class _Waiting:
    request: Request
    future: asyncio.Future[Delivery]
    until: float | None
    sendings: int = 0
    refusals: int = 0
    unheard: bool = False
    """503 means that it was never begun: only one sending, the first ever, is under way."""


class Pending:
    """Replies come to one subscription and are told apart by the last token of their subject: request and sending.

    Each sending has a subject of its own, since the broker lets a server answer once: where one came twice before it
    was answered, nats-server takes the answer for the second one and refuses it.
    After a broken connection every waiting request is sent again under its request id, so that a reply lost
    with the broker comes again; a server remembers what it answered (see `shared.bus.answers`). Nothing is sent
    while the broker is away: who gives up meanwhile shall not have it done later.
    """

    def __init__(self, transport: Transport, name: str) -> None:
        self._transport, self._name = transport, name
        self._waiting: dict[str, _Waiting] = {}
        self._tokens = itertools.count()
        self._tasks = TaskGroup("pending")

    async def open(self) -> None:
        await self._transport.subscribe(f"{self._transport.inbox}.*", self._received)
        self._transport.on_reconnect(self._send_again)
        self._transport.on_refused(self._refused)

    async def close(self) -> None:
        """Ends all waits with `Unavailable`."""
        self._fail(self._waiting.values(), Unavailable("this process closes its connection to the broker"))
        await self._tasks.close()

    async def request(self, request: Request, timeout: float | None) -> Delivery:
        """The reply; raises `NoResponders`, `ServerGone`, `TimeoutError`, or what refuses the message."""
        loop = asyncio.get_running_loop()
        token = f"{next(self._tokens):x}"
        until = None if timeout is None else loop.time() + timeout
        waiting = self._waiting[token] = _Waiting(request, loop.create_future(), until)
        try:
            if self._transport.connected:
                await self._send(token, waiting)
            async with asyncio.timeout(timeout):
                return await (self._insist(token, waiting) if request.far else waiting.future)
        finally:
            del self._waiting[token]
            waiting.future.cancel()  # nobody is interested in what it is told now

    async def _insist(self, token: str, waiting: _Waiting) -> Delivery:
        """Sends it again and again until there is an answer: who has heard it before remembers it."""
        pause = FIRST_AGAIN
        while not (await asyncio.wait((waiting.future,), timeout=pause))[0]:
            pause = min(pause * 2, LAST_AGAIN)
            if self._transport.connected:
                await self._send(token, waiting)
        return waiting.future.result()

    async def _send(self, token: str, waiting: _Waiting) -> None:
        request, now = waiting.request, asyncio.get_running_loop().time()
        if waiting.until is not None:
            request.headers[wire.TIMEOUT] = str(max(1, int((waiting.until - now) * 1000)))
        waiting.unheard = request.begun is None
        if request.begun is None:
            request.begun = now
        else:
            request.headers[wire.AGE] = str(int((now - request.begun) * 1000))
        reply = f"{self._transport.inbox}.{token}-{waiting.sendings}"
        waiting.sendings += 1
        await self._transport.publish(request.subject, request.payload, request.headers, reply)

    def _received(self, delivery: Delivery) -> None:
        waiting = self._waiting.get(delivery.subject.rpartition(".")[2].partition("-")[0])
        if waiting is None or waiting.future.done():
            return
        if delivery.headers.get("Status") == "503" and not delivery.payload:
            if waiting.unheard:
                waiting.request.begun = None
            waiting.future.set_exception(NoResponders())
        elif wire.GONE in delivery.headers:
            waiting.future.set_exception(ServerGone())
        else:
            waiting.future.set_result(delivery)

    def _send_again(self) -> None:
        for token, waiting in self._waiting.items():
            if not waiting.future.done():
                self._tasks.start(self._sent_again(token, waiting), "send again")

    def unanswered(self, subject: str) -> None:
        """The broker has refused an answer to that subject, given in lower case: asks again, at once the first time."""
        inbox, _, last = subject.rpartition(".")
        token = last.partition("-")[0]
        waiting = self._waiting.get(token)
        if waiting is not None and inbox == self._transport.inbox.lower():
            pause = min(FIRST_AGAIN * (2**waiting.refusals - 1), LAST_AGAIN)
            waiting.refusals += 1
            self._tasks.start(self._sent_again(token, waiting, pause), "send again")

    async def _sent_again(self, token: str, waiting: _Waiting, pause: float = 0.0) -> None:
        await asyncio.sleep(pause)
        if waiting.future.done():
            return
        try:
            await self._send(token, waiting)
        except ShoalError as error:
            self._fail([waiting], error)

    def _refused(self, subject: str) -> None:
        """The broker tells it for a subject, not for a message, and in lower case."""
        error = PermissionDenied(
            f"the broker does not let {self._name} send to {subject}: its contract must declare it"
        )
        self._fail((one for one in self._waiting.values() if one.request.subject.lower() == subject), error)

    def server_started(self, service: str, node: str) -> None:
        """Ends the waits for what an instance that is no more was asked."""
        self._fail((one for one in self._waiting.values() if one.request.server == (service, node)), ServerGone())

    @staticmethod
    def _fail(waiting: Iterable[_Waiting], error: Exception) -> None:
        for one in tuple(waiting):
            if not one.future.done():
                one.future.set_exception(error)
