"""What the bus needs of a broker: publish and subscribe, with NATS semantics.

Subjects have tokens joined by dots; `*` matches one token, `>` the rest. A message published with a reply
subject that nobody hears is answered by the broker itself with header `Status: 503` (no responders).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol


class Delivery(NamedTuple):
    """One message as received."""

    subject: str
    payload: bytes
    headers: Mapping[str, str]
    reply: str = ""


Receiver = Callable[[Delivery], None]
"""Called in order for each message of a subscription; must not block."""


class Subscription(Protocol):
    """What was subscribed, to end it."""

    async def drain(self) -> None:
        """Takes no new message; what was already received is delivered."""


class Transport(Protocol):
    """A connection to a broker, kept alive by itself: after a break it subscribes again and goes on."""

    inbox: str
    """Prefix of subjects that only this connection may hear."""

    async def publish(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        """Hands the message to the broker; kept in memory while the broker is away."""

    async def subscribe(self, subject: str, receiver: Receiver, queue: str = "") -> Subscription:
        """Every message for the subject, or with a queue group a share of them."""

    async def flush(self) -> None:
        """Returns when the broker has processed all that was sent before."""

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        """Called each time a broken connection is up again and subscribed."""

    async def close(self) -> None: ...


def matches(pattern: str, subject: str) -> bool:
    """Whether a subject falls under a NATS subject pattern."""
    wanted, tokens = pattern.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(tokens) > index
        if index >= len(tokens) or token not in ("*", tokens[index]):
            return False
    return len(wanted) == len(tokens)
