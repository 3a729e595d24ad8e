"""The transport over NATS."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from shared.bus.transport import Delivery, Receiver

log = logging.getLogger(__name__)

PENDING_BYTES = 64 << 20
"""What may wait in this process while the broker is away, and in a subscription while its receiver is busy."""
RECONNECT_SECONDS = 0.05


class _Subscription:
    def __init__(self, subscription: NatsSubscription) -> None:
        self._subscription = subscription

    async def drain(self) -> None:
        await self._subscription.drain()  # type: ignore[no-untyped-call]


class NatsTransport:
    """A connection to a NATS server or cluster, authenticated by an nkey (an Ed25519 challenge)."""

    def __init__(self, client: Client, inbox: str) -> None:
        self.inbox = inbox
        self._client = client
        self._callbacks: list[Callable[[], None]] = []

    @classmethod
    async def connect(cls, url: str, name: str, seed: Path | None = None) -> NatsTransport:
        """Connects and stays connected; tries until the broker is there, so that starting order does not matter."""
        client = Client()
        transport = cls(client, f"_INBOX_{name}.{client._nuid.next().decode()}")

        async def reconnected() -> None:
            for callback in transport._callbacks:
                callback()

        await client.connect(
            url,
            name=name,
            nkeys_seed=str(seed) if seed else None,
            inbox_prefix=f"_INBOX_{name}",
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_SECONDS,  # type: ignore[arg-type]  # an int by annotation only
            pending_size=PENDING_BYTES,
            connect_timeout=2,
            ping_interval=20,
            error_cb=_log_error,
            reconnected_cb=reconnected,
        )
        return transport

    async def publish(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        await self._client.publish(subject, payload, reply, dict(headers) if headers else None)

    async def subscribe(self, subject: str, receiver: Receiver, queue: str = "") -> _Subscription:
        async def receive(message: Msg) -> None:
            receiver(Delivery(message.subject, message.data, message.headers or {}, message.reply))

        subscription = await self._client.subscribe(
            subject, queue=queue, cb=receive, pending_msgs_limit=0, pending_bytes_limit=PENDING_BYTES
        )
        return _Subscription(subscription)

    async def flush(self) -> None:
        await self._client.flush()

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    async def close(self) -> None:
        await self._client.drain() if self._client.is_connected else await self._client.close()


async def _log_error(error: Exception) -> None:
    log.warning("broker connection: %s", error or type(error).__name__)
