"""The store on a JetStream key-value bucket (ADR-8), by the broker's own API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from shared.bus import Bus, Delivery
from shared.bus.wire import read_headers
from shared.contracts.base import AGREED, Keys, Message
from shared.errors import AlreadyExists, Conflict, NotFound, ResourceExhausted, ShoalError, Unavailable
from shared.ids import new_token
from shared.state.layers import Layers, Leftovers
from shared.state.store import removed, seal, unseal
from shared.state.view import Entry, View
from shared.state.watch import Watch, api
from shared.tasks import TaskGroup

M = TypeVar("M", bound=Message)

MESSAGE_ID = "Nats-Msg-Id"
EXPECTED = "Nats-Expected-Last-Subject-Sequence"
MARKER_SECONDS = 300
"""How long the marker of a removed record stays, for watchers that were cut off."""
ELECTION, SILENT = 10.0, 2.0
"""Seconds that the hubs have for an answer; after none, until they answer again."""
_CLOSE_SECONDS = 2.0
_WRONG_SEQUENCE = (10071, 10164)
_NOTHING = 10037
"""JetStream's code where no message is found."""


class _Ack(msgspec.Struct):
    """JetStream's answer to a publish: also an answer can carry an error."""

    seq: int = 0
    error: dict[str, Any] | None = None


class _Stored(msgspec.Struct):
    """A message as JetStream's API tells it (ADR-8); `hdrs` in NATS' wire form (ADR-4)."""

    subject: str
    seq: int
    hdrs: bytes = b""
    data: bytes = b""

    def delivery(self) -> Delivery:
        return Delivery(self.subject, self.data, read_headers(self.hdrs) | {"Nats-Sequence": str(self.seq)}, "")


class _Got(msgspec.Struct):
    message: _Stored | None = None
    error: dict[str, Any] | None = None


class NatsState:
    """Records in one bucket per key family; the sequence number of the stream is the revision.

    `agreed`: the JetStream domain of the bucket `AGREED`, empty where this host keeps it itself. `owned`: the families
    that this process alone writes on this host.
    """

    def __init__(self, bus: Bus, agreed: str = "", owned: Iterable[Keys[Any]] = ()) -> None:
        self._bus, self._agreed = bus, agreed
        self._owned = {keys.pattern for keys in owned if keys.bucket != AGREED}
        self.layers, self._left = Layers(), Leftovers(self._clear)
        self._silent = False
        self._watches: set[Watch] = set()
        self._tasks = TaskGroup("state")

    async def get(self, keys: Keys[M], *parts: str, host: str = "") -> Entry[M] | None:
        key = keys.key(*parts)
        found = await self._last(keys, key, host)
        if found is None or removed(found):
            return None
        return unseal(found.payload, keys, key, _revision(found))

    async def _last(self, keys: Keys[Any], key: str, host: str = "") -> Delivery | None:
        """The last message for a key, which may be the marker of its removal."""
        if not host and self._domain(keys):
            return await self._last_agreed(keys, key)
        subject = f"{api(host or self._domain(keys))}.DIRECT.GET.KV_{keys.bucket}.$KV.{keys.bucket}.{key}"
        reply = await self._bus.request_raw(subject, b"")
        return None if reply.headers.get("Status") == "404" else reply

    async def _last_agreed(self, keys: Keys[Any], key: str) -> Delivery | None:
        """From the stream's leader: a direct get is answered by any of several hubs, which may be behind."""
        stream, subject = f"KV_{keys.bucket}", f"$KV.{keys.bucket}.{key}"
        asked = msgspec.json.encode({"last_by_subj": subject})
        reply = await self._ask_hubs(f"{api(self._agreed)}.STREAM.MSG.GET.{stream}", asked)
        found = msgspec.json.decode(reply.payload, type=_Got)
        if found.message is not None:
            return found.message.delivery()
        if found.error is not None and found.error.get("err_code") != _NOTHING:
            raise Unavailable(f"{key} not read: {found.error.get('description', '')}")
        return None

    async def _ask_hubs(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> Delivery:
        """Waits as long as hubs may need to elect who leads; not so long where they have just been silent."""
        try:
            reply = await self._bus.request_raw(subject, payload, headers, SILENT if self._silent else ELECTION)
        except Unavailable:
            self._silent = True
            raise
        self._silent = False
        return reply

    async def create(self, keys: Keys[M], *parts: str, value: M) -> int:
        self._left.written()
        key, payload = keys.key(*parts), seal(value, self._bus.name)
        marker = self._left.marker(key)
        try:
            return await self._put(keys, key, payload, {EXPECTED: str(marker)}, self.layers.below(key, marker))
        except Conflict:
            found = await self._last(keys, key)
        if found is not None and not removed(found):
            raise AlreadyExists(f"{key} exists")
        marker = _revision(found) if found else 0  # a removed record's marker may still be there
        try:
            return await self._put(keys, key, payload, {EXPECTED: str(marker)})
        except Conflict:
            raise AlreadyExists(f"{key} exists") from None

    async def update(self, keys: Keys[M], *parts: str, value: M, revision: int) -> int:
        self._left.written()
        key, payload, headers = keys.key(*parts), seal(value, self._bus.name), {EXPECTED: str(revision)}
        return await self._put(keys, key, payload, headers, self.layers.below(key, revision))

    async def delete(self, keys: Keys[M], *parts: str, revision: int | None = None) -> int:
        self._left.written()
        key = keys.key(*parts)
        last = self.layers.last(key)
        below = self.layers.below(key, last if revision is None else revision)
        if below and not self._left.full:
            with suppress(Conflict):
                headers = {"KV-Operation": "PURGE", EXPECTED: str(last)}
                marker = await self._put(keys, key, b"", headers, below)
                self._left.add(keys, key, marker)
                return marker
        return await self._clear(keys, key, revision)

    async def _clear(self, keys: Keys[Any], key: str, revision: int | None) -> int:
        """Removes a record, or the marker of its removal, with its value; what is left then goes by itself."""
        headers = {"KV-Operation": "PURGE", "Nats-TTL": f"{MARKER_SECONDS}s"}
        if revision is not None:
            headers[EXPECTED] = str(revision)
        cleared = await self._put(keys, key, b"", headers)
        self.layers.forget(key)
        return cleared

    def _found_marker(self, keys: Keys[Any], key: str, marker: int) -> None:
        """A view begins with a removal whose value is still there."""
        if keys.pattern in self._owned and key not in self._left:
            self._left.add(keys, key, marker)

    async def _put(self, keys: Keys[Any], key: str, payload: bytes, headers: dict[str, str], below: int = 0) -> int:
        """One message, on top of so many known ones; on top of none it takes away what there is.

        What goes by exceeding a limit of the stream leaves no trace in its files: once the marker of a removed record
        had expired, a killed broker found the record again (2.15.1).
        """
        if not below and headers.get(EXPECTED) != "0":
            headers = headers | {"Nats-Rollup": "sub"}
        self.layers.forget(key)
        revision = await self._publish(keys, key, payload, headers | {MESSAGE_ID: new_token()})
        if keys.bucket != AGREED:
            self.layers.put(key, revision, below)
        return revision

    async def _publish(self, keys: Keys[Any], key: str, payload: bytes, headers: dict[str, str]) -> int:
        domain = self._domain(keys)
        if domain:
            reply = await self._ask_hubs(f"{api(domain)}.$KV.{keys.bucket}.{key}", payload, headers)
        else:
            reply = await self._bus.request_raw(f"$KV.{keys.bucket}.{key}", payload, headers)
        ack = msgspec.json.decode(reply.payload, type=_Ack)
        if ack.error is None:
            return ack.seq
        refusal = _refusal(key, ack.error)
        if isinstance(refusal, Conflict):
            # Sent again after a broken connection, a write that was done meets itself: that is no lost race.
            found = await self._last(keys, key)
            if found is not None and found.headers.get(MESSAGE_ID) == headers[MESSAGE_ID]:
                return _revision(found)
        raise refusal

    async def latest(self, keys: Keys[Any], host: str = "") -> int:
        if not host and self._domain(keys):
            found = await self._last_agreed(keys, keys.pattern)
            return _revision(found) if found is not None else 0
        subject = f"{api(host)}.DIRECT.GET.KV_{keys.bucket}"
        asked = msgspec.json.encode({"last_by_subj": f"$KV.{keys.bucket}.{keys.pattern}"})
        reply = await self._bus.request_raw(subject, asked)
        return 0 if reply.headers.get("Status") == "404" else _revision(reply)

    async def view(self, *keys: Keys[Any], host: str = "", wait: float | None = None) -> View:
        view = View(*keys)
        watch = Watch(self._bus, keys[0].bucket, view, host or self._domain(keys[0]))
        if not host:
            watch.on_marker = self._found_marker
        view.stop, view.look_again = lambda: self._stop(watch), watch.look_again
        self._watches.add(watch)
        try:
            await (watch.open() if wait is None else _begun(watch, wait))
            if wait is None and not host and self._domain(keys[0]):
                await self._catch_up(view)
        except BaseException:
            view.stop()
            raise
        return view

    async def _catch_up(self, view: View) -> None:
        """Who serves a watch may be a hub that is behind: all that there is by now is known by who leads."""
        for revision in await asyncio.gather(*(self.latest(keys) for keys in view.families)):
            await view.reached(revision)

    def _stop(self, watch: Watch) -> None:
        if watch in self._watches:
            self._watches.remove(watch)
            self._tasks.start(watch.close(), "stop")

    def _domain(self, keys: Keys[Any]) -> str:
        return self._agreed if keys.bucket == AGREED else ""

    async def close(self) -> None:
        """Ends all views: they show what they showed last."""
        for watch in tuple(self._watches):
            self._stop(watch)
        await self._left.close()
        await self._tasks.drain(_CLOSE_SECONDS)
        await self._tasks.close()


async def _begun(watch: Watch, seconds: float) -> None:
    watch.begin()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await watch.complete.wait()


def _revision(message: Delivery) -> int:
    return int(message.headers["Nats-Sequence"])


def _refusal(key: str, error: dict[str, Any]) -> ShoalError:
    """What a refused write means to the writer."""
    code, text = error.get("err_code", 0), error.get("description", "")
    if code in _WRONG_SEQUENCE:
        return Conflict(f"{key} was changed by somebody else")
    if code == 10059:
        return NotFound(f"no bucket for {key}")
    if code in (10023, 10047, 10077):
        return ResourceExhausted(f"{key} not written: {text}")
    return Unavailable(f"{key} not written: {text}")
