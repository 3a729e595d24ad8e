"""The stream of events: what happened since, then what happens, without a gap between."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from shared.bus import Bus, Subscription
from shared.clock import now_ns
from shared.contracts.base import Event
from shared.contracts.common import DockerEvent
from shared.errors import InvalidArgument
from shared.tasks import TaskGroup

from .context import Gateway
from .http.message import Request
from .http.outlet import Stream
from .translate import event as shown
from .translate import filters, times

MOST_AHEAD = 256
MOST_WAITING = 10_000
"""Events held for a client that does not read; the oldest go first."""
_SEQUENCE = "application/json-seq"
_TYPES = ("application/jsonl", "application/x-ndjson", _SEQUENCE)


class Listener:
    """One client's share of the live events."""

    def __init__(self) -> None:
        self._queue: deque[DockerEvent] = deque(maxlen=MOST_WAITING)
        self._waker = asyncio.Event()

    def put(self, event: DockerEvent) -> None:
        self._queue.append(event)
        self._waker.set()

    async def next(self) -> DockerEvent:
        """The next event; waits for one."""
        while not self._queue:
            self._waker.clear()
            await self._waker.wait()
        return self._queue.popleft()


class Feed:
    """Live events for all clients that listen, from one subscription of each kind; from none while nobody does."""

    def __init__(self, bus: Bus, kinds: Sequence[Event[DockerEvent]]) -> None:
        self._bus, self._kinds = bus, kinds
        self._listeners: set[Listener] = set()
        self._ahead: OrderedDict[tuple[int, str, str], frozenset[Listener]] = OrderedDict()
        self._heard: list[Subscription] = []
        self._changing = asyncio.Lock()
        self._tasks = TaskGroup("events")

    @property
    def listeners(self) -> int:
        """How many clients listen."""
        return len(self._listeners)

    def _receive(self, event: DockerEvent) -> None:
        know_it = self._ahead.pop(_identity(event), frozenset()) if self._ahead else frozenset()
        for listener in self._listeners - know_it:
            listener.put(event)

    def ahead(self, event: DockerEvent) -> None:
        """Tells an event that its service is just about to tell in the same words; nobody gets it twice."""
        if not self._listeners:
            return
        for listener in self._listeners:
            listener.put(event)
        self._ahead[_identity(event)] = frozenset(self._listeners)
        if len(self._ahead) > MOST_AHEAD:  # of services that refused, after all
            self._ahead.popitem(last=False)

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[Listener]:
        """Inside the block every event that is told from now on reaches the listener."""
        listener = Listener()
        self._listeners.add(listener)
        try:
            async with self._changing:
                if not self._heard:
                    self._heard = [await self._bus.hear(kind, self._receive) for kind in self._kinds]
                    await self._bus.transport.flush()
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                self._tasks.start(self._leave(), "leave")

    async def _leave(self) -> None:
        async with self._changing:
            if self._listeners:  # somebody came meanwhile
                return
            heard, self._heard = self._heard, []
            for subscription in heard:
                await subscription.drain()


class Sink:
    """One client's stream: filters, form, and each event only once."""

    def __init__(self, stream: Stream, request: Request, wanted: filters.Filters, sequence: bool) -> None:
        self._stream, self._version, self._wanted, self._sequence = stream, request.version, wanted, sequence
        self._recent: dict[tuple[int, str, str], None] = {}
        """Of the past, the newest: the oldest go first."""

    async def send(self, event: DockerEvent) -> None:
        if not shown.hidden(event, self._version) and shown.wanted(event, self._wanted):
            await self._stream.write(shown.line(event, self._version, self._sequence))

    async def send_past(self, event: DockerEvent) -> None:
        """Unless another host has told it."""
        if _identity(event) in self._recent:
            return
        self._recent[_identity(event)] = None
        if len(self._recent) > MOST_WAITING:
            del self._recent[next(iter(self._recent))]
        await self.send(event)

    async def send_live(self, event: DockerEvent) -> None:
        """Unless the past has shown it already: both were read from the same moment on."""
        if _identity(event) not in self._recent:
            await self.send(event)


def _identity(event: DockerEvent) -> tuple[int, str, str]:
    return event.time_ns, event.actor, event.action


def content_type(accept: str, old: bool) -> str:
    """What the client accepts of the streamed forms; else JSON lines, called plain JSON before 1.52."""
    for part in accept.split(","):
        name = part.partition(";")[0].strip().lower()
        if name in _TYPES:
            return name
    return "application/json" if old else _TYPES[0]


def time_range(request: Request) -> tuple[int, int]:
    """`since` and `until` in nanoseconds, 0 for open; raises `InvalidArgument`."""
    since = times.unix(request.query.get("since"), "since")
    until = times.unix(request.query.get("until"), "until")
    if until and until < since:
        raise InvalidArgument(
            f"`since` time ({request.query.get('since')}) cannot be after `until` time ({request.query.get('until')})"
        )
    return since, until


async def stream_events(gateway: Gateway, request: Request) -> None:
    """Answers `GET /events` until `until`, or until the client goes."""
    since, until = time_range(request)
    wanted = filters.parse(request.query.get("filters"))
    kind = content_type(request.headers.get("accept", ""), request.version < (1, 52))
    async with gateway.feed.listen() as listener:
        stream = request.stream((("Content-Type", kind),))
        sink = Sink(stream, request, wanted, kind == _SEQUENCE)
        if since or until:
            async for event in gateway.history.read(since, until, gateway.hosts.reachable()[1:]):
                await sink.send_past(event)
        left = (until - now_ns()) / 1e9 if until else None
        if left is not None and left <= 0:
            return
        try:
            async with asyncio.timeout(left):
                while True:
                    event = await listener.next()
                    await gateway.containers.shows(event)
                    await sink.send_live(event)
        except TimeoutError:
            return
