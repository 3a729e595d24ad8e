"""The transport over NATS."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from shared.bus.transport import Callbacks, Delivery, Receiver
from shared.errors import InvalidArgument, PermissionDenied, ResourceExhausted, Unavailable

log = logging.getLogger(__name__)

PENDING_BYTES = 64 << 20
"""What may wait in this process while the broker is away, and in a subscription while its receiver is busy."""
RECONNECT_SECONDS = 0.05
CONNECT_SECONDS = 10
"""A broker that has little processor time takes long to let one in, and longer where one gives up and begins anew."""
SUBJECT_BYTES = 2048
"""A longer subject would pass the broker's limit for a line (4096), for which it ends the connection."""
FLUSH_SECONDS = 10
CLOSE_SECONDS = 2.0
_REFUSAL = re.compile(r'permissions violation for (publish|subscription)[a-z ]* to "([^"]*)"')


class _Client(Client):
    """nats-py with two corrections of how it counts its pings."""

    async def _send_ping(self, future: asyncio.Future[Any] | None = None) -> None:
        """In turn behind what was published: the original overtakes it, and so a flush proved nothing."""
        self._pongs.append(future or asyncio.get_running_loop().create_future())
        await self._send_command(b"PING\r\n")
        await self._flush_pending()

    async def _process_pong(self) -> None:
        """The answer to a cancelled flush is no error: the original stops reading the connection at it, for good."""
        if self._pongs and self._pongs[0].done():
            self._pongs.pop(0)
            self._pings_outstanding = 0
        else:
            await super()._process_pong()

    def forget_pending(self) -> None:
        """Nobody will take it: closing would write it to a socket that is closed already."""
        self._pending.clear()
        self._pending_data_size = 0

    def release_flushes(self) -> None:
        """Ends the waits for answers of a connection that is gone."""
        for future in self._pongs:
            if not future.done():
                future.set_result(None)


class _Subscription:
    def __init__(self, transport: NatsTransport, subscription: NatsSubscription) -> None:
        self._transport, self._subscription = transport, subscription

    async def drain(self) -> None:
        """Without a broker there is nothing to wait for."""
        with contextlib.suppress(errors.Error):
            if self._transport.connected:
                await self._subscription.drain()  # type: ignore[no-untyped-call]
        with contextlib.suppress(errors.Error):  # what a drain that failed half-way left
            await self._subscription.unsubscribe()
        self._transport.forget(self._subscription)


class NatsTransport:
    """A connection to a NATS server or cluster, authenticated by an nkey (an Ed25519 challenge)."""

    def __init__(self, name: str) -> None:
        self._client = _Client()
        self.inbox = f"_INBOX_{name}.{self._client._nuid.next().decode()}"
        self._name = name
        self._up = asyncio.Event()
        self._connections = 0
        self._closing = False
        self._last_error = ""
        self._refused_subscriptions: list[str] = []
        self._reconnected: Callbacks[[]] = Callbacks()
        self._refused: Callbacks[[str]] = Callbacks()
        self._lost: Callbacks[[]] = Callbacks()

    @classmethod
    async def connect(cls, url: str, name: str, seed: Path | None = None) -> NatsTransport:
        """Connects and stays connected; tries until the broker is there, so that starting order does not matter."""
        transport = cls(name)
        await transport._client.connect(
            url,
            name=name,
            nkeys_seed=str(seed) if seed else None,
            inbox_prefix=f"_INBOX_{name}",
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_SECONDS,  # type: ignore[arg-type]  # an int by annotation only
            pending_size=PENDING_BYTES,
            connect_timeout=CONNECT_SECONDS,
            ping_interval=20,
            error_cb=transport._error,
            disconnected_cb=transport._disconnected,
            reconnected_cb=transport._connected_again,
            closed_cb=transport._closed,
        )
        transport._up.set()
        return transport

    @property
    def connected(self) -> bool:
        return self._up.is_set()

    async def publish(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        self._check_size(subject, payload, headers)
        try:
            await self._client.publish(subject, payload, reply, dict(headers) if headers else None)
        except errors.Error as error:
            raise Unavailable(f"message for {subject} not sent: {error or type(error).__name__}") from None

    def _check_size(self, subject: str, payload: bytes, headers: Mapping[str, str] | None) -> None:
        """The broker cuts the connection of who sends too much: in a line (the subject), or at all."""
        if len(subject) > SUBJECT_BYTES:
            raise InvalidArgument(f"a name of {len(subject)} bytes is too long: {subject[:60]}...")
        size = len(payload) + sum(len(key) + len(value.encode()) + 4 for key, value in (headers or {}).items()) + 16
        if size > self._client.max_payload:
            text = f"a message of {size} bytes for {subject}; the broker takes at most {self._client.max_payload}"
            raise ResourceExhausted(text)

    async def subscribe(self, subject: str, receiver: Receiver, queue: str = "") -> _Subscription:
        async def receive(message: Msg) -> None:
            receiver(Delivery(message.subject, message.data, message.headers or {}, message.reply))

        try:
            subscription = await self._client.subscribe(
                subject, queue=queue, cb=receive, pending_msgs_limit=0, pending_bytes_limit=PENDING_BYTES
            )
        except errors.Error as error:
            raise Unavailable(f"{subject} not subscribed: {error or type(error).__name__}") from None
        return _Subscription(self, subscription)

    def forget(self, subscription: NatsSubscription) -> None:
        """So that a new connection does not subscribe it again."""
        self._client._remove_sub(subscription._id)

    async def flush(self) -> None:
        while True:
            await self._up.wait()
            connection = self._connections
            try:
                await self._client.flush(FLUSH_SECONDS)
            except errors.Error:
                raise Unavailable("the broker does not answer") from None
            if connection == self._connections:
                break
        refused, self._refused_subscriptions = self._refused_subscriptions, []
        if refused:
            raise PermissionDenied(f"the broker does not let {self._name} hear {', '.join(refused)}")

    def on_reconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._reconnected.add(callback)

    def on_refused(self, callback: Callable[[str], None]) -> Callable[[], None]:
        return self._refused.add(callback)

    def on_lost(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._lost.add(callback)

    async def close(self) -> None:
        self._closing = True
        with contextlib.suppress(Unavailable, PermissionDenied, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS if self.connected else 0):
                await self.flush()
        if not self.connected:
            self._client.forget_pending()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._client.close()

    async def _disconnected(self) -> None:
        self._up.clear()
        self._connections += 1
        self._client.release_flushes()
        if not self._closing:
            log.warning("the connection to the broker is broken")

    async def _connected_again(self) -> None:
        self._up.set()
        self._last_error = ""
        log.info("connected to the broker again")
        self._reconnected.call()

    async def _closed(self) -> None:
        """The library gives up a connection at errors after which it could as well connect again."""
        if not self._closing:
            log.error("the broker closed the connection for good: %s", self._last_error)
            self._lost.call()

    async def _error(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        refusal = _REFUSAL.search(text.lower())
        if refusal:
            self._refuse(*refusal.groups())
        elif text != self._last_error:  # the same one comes with every attempt to connect
            expected = isinstance(error, errors.Error | OSError)
            log.warning("broker connection: %s", text, exc_info=None if expected else error)
        self._last_error = text

    def _refuse(self, way: str, subject: str) -> None:
        log.error("the broker refused: %s %s by %s: undeclared in its contract, or late", way, subject, self._name)
        if way == "subscription":
            self._refused_subscriptions.append(subject)
        else:
            self._refused.call(subject)
