"""The store on a JetStream key-value bucket (ADR-8), by the broker's own API."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from shared.bus import Bus, Delivery
from shared.contracts.base import AGREED, Keys, Message
from shared.errors import AlreadyExists, Conflict, NotFound, ResourceExhausted, ShoalError, Unavailable
from shared.ids import new_token
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
        lines = self.hdrs.decode().split("\r\n")[1:]
        headers = {name: value.strip() for name, found, value in (line.partition(":") for line in lines) if found}
        return Delivery(self.subject, self.data, headers | {"Nats-Sequence": str(self.seq)}, "")


class _Got(msgspec.Struct):
    message: _Stored | None = None
    error: dict[str, Any] | None = None


class NatsState:
    """Records in one bucket per key family; the sequence number of the stream is the revision.

    `agreed`: the JetStream domain of the bucket `AGREED`, empty where this host keeps it itself.
    """

    def __init__(self, bus: Bus, agreed: str = "") -> None:
        self._bus, self._agreed = bus, agreed
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
        key = keys.key(*parts)
        payload = seal(value, self._bus.name)
        try:
            return await self._publish(keys, key, payload, {EXPECTED: "0"})
        except Conflict:
            found = await self._last(keys, key)
        if found is not None and not removed(found):
            raise AlreadyExists(f"{key} exists")
        marker = str(_revision(found) if found else 0)  # a removed record's marker may still be there
        try:
            return await self._publish(keys, key, payload, {EXPECTED: marker})
        except Conflict:
            raise AlreadyExists(f"{key} exists") from None

    async def update(self, keys: Keys[M], *parts: str, value: M, revision: int) -> int:
        payload = seal(value, self._bus.name)
        return await self._publish(keys, keys.key(*parts), payload, {EXPECTED: str(revision)})

    async def delete(self, keys: Keys[M], *parts: str, revision: int | None = None) -> int:
        headers = {"KV-Operation": "PURGE", "Nats-TTL": f"{MARKER_SECONDS}s"}
        if revision is not None:
            headers[EXPECTED] = str(revision)
        return await self._publish(keys, keys.key(*parts), b"", headers)

    async def _publish(self, keys: Keys[Any], key: str, payload: bytes, headers: dict[str, str]) -> int:
        # Each write takes what it replaces out of the stream's files itself. What goes by exceeding a limit leaves no
        # trace there: once the marker of a removed record had expired, a killed broker found the record again (2.15.1).
        headers |= {MESSAGE_ID: new_token(), "Nats-Rollup": "sub"}
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
