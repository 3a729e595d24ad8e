"""Requests that wait for their reply."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass

from shared.bus.transport import Delivery, Transport
from shared.tasks import TaskGroup


class NoResponders(Exception):
    """Nobody hears the subject: the request was not begun."""


class ServerGone(Exception):
    """The server that had the request was replaced before it answered."""


@dataclass
class _Waiting:
    subject: str
    payload: bytes
    headers: dict[str, str]
    server: tuple[str, str]
    future: asyncio.Future[Delivery]


class Pending:
    """Replies come to one subscription and are told apart by the last token of their subject.

    After a broken connection every waiting request is sent again under its request id, so that a reply lost
    with the broker comes again; a server remembers what it answered (see `shared.bus.server`).
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._waiting: dict[str, _Waiting] = {}
        self._tokens = itertools.count()
        self._tasks = TaskGroup("pending")

    async def open(self) -> None:
        await self._transport.subscribe(f"{self._transport.inbox}.*", self._received)
        self._transport.on_reconnect(self._send_again)

    def close(self) -> None:
        for waiting in self._waiting.values():
            waiting.future.cancel()

    async def request(
        self,
        subject: str,
        payload: bytes,
        headers: dict[str, str],
        server: tuple[str, str],
        timeout: float | None,
    ) -> Delivery:
        """The reply; raises `NoResponders`, `ServerGone` or `TimeoutError`."""
        token = f"{next(self._tokens):x}"
        future: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        waiting = self._waiting[token] = _Waiting(subject, payload, headers, server, future)
        try:
            await self._send(token, waiting)
            async with asyncio.timeout(timeout):
                return await future
        finally:
            del self._waiting[token]

    async def _send(self, token: str, waiting: _Waiting) -> None:
        reply = f"{self._transport.inbox}.{token}"
        await self._transport.publish(waiting.subject, waiting.payload, waiting.headers, reply)

    def _received(self, delivery: Delivery) -> None:
        waiting = self._waiting.get(delivery.subject.rpartition(".")[2])
        if waiting is None or waiting.future.done():
            return
        if delivery.headers.get("Status") == "503" and not delivery.payload:
            waiting.future.set_exception(NoResponders())
        else:
            waiting.future.set_result(delivery)

    def _send_again(self) -> None:
        for token, waiting in self._waiting.items():
            if not waiting.future.done():
                self._tasks.start(self._send(token, waiting), "send again")

    def server_started(self, service: str, node: str) -> None:
        """Ends the waits for what an instance that is no more was asked."""
        for waiting in self._waiting.values():
            if waiting.server == (service, node) and not waiting.future.done():
                waiting.future.set_exception(ServerGone())
