"""Feeding a view from the broker: existing records, then every change, across restarts of the broker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from shared.bus import Bus, Delivery, Subscription
from shared.contracts.base import Keys
from shared.errors import ShoalError, Unavailable
from shared.ids import new_token
from shared.state.store import leaves_value, removed, unseal
from shared.state.view import LATE, View
from shared.tasks import TaskGroup

log = logging.getLogger(__name__)

HEARTBEAT = 5.0
"""Seconds between the broker's signs of life on an idle watch; three missed ones start the watch anew."""
RESUME_SECONDS = 200.0
"""A watch cut off for longer starts anew: markers of removed records may be gone by then."""
ASK_SECONDS = 1.0
"""The first wait for another host's answer, doubled each time: a hub that has just begun swallows what it is asked."""
MOST_ASK_SECONDS = 10.0


def api(domain: str) -> str:
    """Where JetStream's API of a domain is asked; the empty one is that of the broker one is connected to."""
    return f"$JS.{domain}.API" if domain else "$JS.API"


class Position(NamedTuple):
    """Where a message stands: told by the subject for its acknowledgement."""

    consumer: str
    revision: int
    sequence: int
    pending: int


def position(reply: str) -> Position:
    """Reads `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`.

    The longer form has domain and account before the stream, and a token at the end (ADR-15).
    """
    fields = reply.split(".")
    if len(fields) >= 11:
        fields = [*fields[:2], *fields[4:11]]
    return Position(fields[3], int(fields[5]), int(fields[6]), int(fields[8]))


class Watch:
    """An ordered push consumer made by hand (what clients call an ordered consumer).

    A gap in the consumer's sequence, a missed heartbeat or a new connection makes a new consumer, which goes
    on after the last revision seen.
    """

    def __init__(self, bus: Bus, bucket: str, view: View, domain: str = "") -> None:
        self._bus, self._bucket, self._view, self._domain = bus, bucket, view, domain
        self._stream = f"KV_{bucket}"
        self._prefix = f"$KV.{bucket}."
        self._consumer = ""
        self._expected = 1
        self._seen: set[str] | None = None
        self._last_sign = self._begun = 0.0
        self.complete = asyncio.Event()
        """Set when the view shows all that exists."""
        self.on_marker: Callable[[Keys[Any], str, int], None] = lambda keys, key, revision: None
        """Called, before `complete`, with what was removed and left its last value in the stream."""
        self._restarting = self._closed = False
        self._tasks = TaskGroup(f"watch:{bucket}")
        self._subscription: Subscription | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._forget: Callable[[], None] = lambda: None

    def look_again(self) -> None:
        """Asks for a new consumer unless one is just beginning; the last one may only be slow."""
        if self._seen is None and asyncio.get_running_loop().time() > self._begun + LATE:
            self._restart("a change does not come")

    async def open(self) -> None:
        """Returns when the view shows all that exists; raises `Unavailable` where nobody answers."""
        self._listen()
        seconds = ASK_SECONDS if self._domain else MOST_ASK_SECONDS
        while True:
            try:
                await self._begin(True, seconds)
                break
            except Unavailable:
                seconds *= 2
                if seconds > MOST_ASK_SECONDS:
                    raise
        await self.complete.wait()

    def begin(self) -> None:
        """As `open`, but without waiting: whoever keeps the records may be away, and is waited for."""
        self._listen()
        self._seen = set()
        self._view.become_live(False)
        self._restart("begins")

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._last_sign = loop.time()
        self._forget = self._bus.transport.on_reconnect(lambda: self._restart("connection restored"))
        self._watchdog = loop.call_later(HEARTBEAT * 3, self._check)

    async def close(self) -> None:
        """The view stays as it is; the broker forgets the consumer by itself."""
        self._closed = True
        self._forget()
        if self._watchdog is not None:
            self._watchdog.cancel()
        await self._tasks.close()
        if self._subscription is not None:
            await self._subscription.drain()

    def _check(self) -> None:
        loop = asyncio.get_running_loop()
        left = self._last_sign + HEARTBEAT * 3 - loop.time()
        if left <= 0:
            self._view.become_live(False)
            self._restart("no sign of life from the broker")
        self._watchdog = loop.call_later(left if left > 0 else HEARTBEAT * 3, self._check)

    def _restart(self, why: str) -> None:
        if not self._restarting and not self._closed:
            self._restarting = True
            log.info("watch of %s starts again: %s", self._bucket, why)
            self._tasks.start(self._begin_again(), "restart")

    async def _begin_again(self) -> None:
        seconds = ASK_SECONDS if self._domain else MOST_ASK_SECONDS
        try:
            while True:
                cut_off = asyncio.get_running_loop().time() - self._last_sign
                try:  # also anew when the last fresh start was not finished
                    return await self._begin(cut_off > RESUME_SECONDS or self._seen is not None, seconds)
                except ShoalError as error:
                    log.warning("watch of %s: %s", self._bucket, error)
                    await asyncio.sleep(0.2)
                seconds = min(2 * seconds, MOST_ASK_SECONDS)
        finally:
            self._restarting = False

    async def _begin(self, anew: bool, seconds: float = MOST_ASK_SECONDS) -> None:
        """Asks for a new consumer, and waits so long for the answer.

        With `anew` for everything that exists, else for what came after.
        """
        self._begun = asyncio.get_running_loop().time()
        name = new_token()[:12]
        deliver = f"{self._bus.transport.inbox}.w.{name}"
        old, self._consumer, self._expected = self._subscription, name, 1
        # Not one wildcard subscription for all: the broker sends a push consumer's messages to exact interest only.
        self._subscription = await self._bus.transport.subscribe(deliver, self._received)
        if old is not None:
            await old.drain()
        self._seen = set() if anew else None
        config: dict[str, Any] = {
            "deliver_subject": deliver,
            "filter_subjects": sorted({self._prefix + keys.pattern for keys in self._view.families}),
            "ack_policy": "none",
            "max_deliver": 1,
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": 60_000_000_000,
            "flow_control": True,
            "idle_heartbeat": int(HEARTBEAT * 1e9),
            "deliver_policy": "last_per_subject" if anew else "by_start_sequence",
        }
        if not anew:
            config["opt_start_seq"] = self._view.revision + 1
        body = msgspec.json.encode({"stream_name": self._stream, "config": config, "action": "create"})
        subject = f"{api(self._domain)}.CONSUMER.CREATE.{self._stream}.{name}"
        reply = await self._bus.request_raw(subject, body, timeout=seconds, insist=False)
        answer = msgspec.json.decode(reply.payload)
        if "error" in answer:
            raise Unavailable(f"watch of {self._bucket}: {answer['error'].get('description')}")
        # A request that was sent twice finds the consumer that it made, which may have sent all already, to nobody.
        if answer["num_pending"] == answer["delivered"]["consumer_seq"] == 0 and self._expected == 1:
            self._finished()

    def _received(self, delivery: Delivery) -> None:
        self._last_sign = asyncio.get_running_loop().time()
        if self._seen is None:  # else it shows a part only, or what is long gone
            self._view.become_live(True)
        status = delivery.headers.get("Status")
        if status is None:
            self._message(delivery)
        elif delivery.subject.endswith(f".{self._consumer}"):  # else of a consumer that was replaced
            if status == "100":
                self._control(delivery)
            else:
                self._restart(f"status {status}")

    def _control(self, delivery: Delivery) -> None:
        """Flow control wants an answer; a heartbeat tells the last sequence sent, which reveals a loss.

        One that is not held back has nothing more to send, whatever number it said was pending: that counts what has
        expired, or was taken away, before it was sent.
        """
        answer = delivery.reply or delivery.headers.get("Nats-Consumer-Stalled", "")
        if answer:
            self._tasks.start(self._bus.transport.publish(answer, b""), "flow")
        last = delivery.headers.get("Nats-Last-Consumer")
        if last is not None and int(last) != self._expected - 1:
            self._restart("a change was missed")
        elif last is not None and not answer and self._seen is not None:
            self._finished()

    def _message(self, delivery: Delivery) -> None:
        at = position(delivery.reply)
        if at.consumer != self._consumer:
            return
        if at.sequence != self._expected:
            self._restart("a change was missed")
            return
        self._expected += 1
        self._apply(delivery, at.revision)
        if at.pending == 0:
            self._finished()

    def _apply(self, delivery: Delivery, revision: int) -> None:
        key = delivery.subject.removeprefix(self._prefix)
        found = self._view.family(key)
        if found is None or removed(delivery):
            if found is not None and self._seen is not None and leaves_value(delivery):
                self.on_marker(found[0], key, revision)
            self._view.apply(key, None, revision)
            return
        if self._seen is not None:
            self._seen.add(key)
        try:
            entry = unseal(delivery.payload, found[0], key, revision)
        except ShoalError as error:  # one unreadable record must not hide the others
            log.error("%s", error)
            self._view.advance(revision)
            return
        self._view.apply(key, entry, revision)

    def _finished(self) -> None:
        if self._seen is not None:
            self._view.retain(self._seen)
            self._seen = None
        self._view.become_live(True)
        self.complete.set()
