"""What the bus needs of a broker: publish and subscribe, with NATS semantics.

Subjects have tokens joined by dots; `*` matches one token, `>` the rest. A message published with a reply
subject that nobody hears is answered by the broker itself with header `Status: 503` (no responders).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, ParamSpec, Protocol

P = ParamSpec("P")


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
        """Takes no new message; what was already received has been delivered when this returns."""


class Transport(Protocol):
    """A connection to a broker, kept alive by itself: after a break it subscribes again and goes on."""

    inbox: str
    """Prefix of subjects that only this connection may hear."""

    @property
    def connected(self) -> bool:
        """Whether the broker is there, as far as is known."""

    async def publish(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        """Hands the message to the broker; kept in memory while the broker is away.

        Raises `ResourceExhausted` for a message that is too large, `Unavailable` when nothing more can be kept.
        """

    async def subscribe(self, subject: str, receiver: Receiver, queue: str = "") -> Subscription:
        """Every message for the subject, or with a queue group a share of them."""

    async def flush(self) -> None:
        """Returns when the broker has processed all that was sent before; waits for a broker that is away.

        Raises `PermissionDenied` when it refused a subscription since the last time, `Unavailable` when it hangs.
        """

    def on_reconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls back each time a broken connection is up again and subscribed; returns what ends this."""

    def on_refused(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Calls back with the subject, in lower case, of each message that the broker refused to take."""

    def on_lost(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls back when the connection has ended and will not come back."""

    async def close(self) -> None: ...


class Callbacks(Generic[P]):
    """Who wants to be told."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[P, None]] = []

    def add(self, callback: Callable[P, None]) -> Callable[[], None]:
        """Returns what takes it off again; that may be called twice."""
        self._callbacks.append(callback)

        def remove() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return remove

    def call(self, *arguments: P.args, **named: P.kwargs) -> None:
        for callback in tuple(self._callbacks):
            callback(*arguments, **named)


def matches(pattern: str, subject: str) -> bool:
    """Whether a subject falls under a NATS subject pattern."""
    wanted, tokens = pattern.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(tokens) > index
        if index >= len(tokens) or token not in ("*", tokens[index]):
            return False
    return len(wanted) == len(tokens)
