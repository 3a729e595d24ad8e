"""An event loop as small as the proxy needs: descriptors with callbacks, and timers."""

from __future__ import annotations

import heapq
import itertools
import select
import time
from collections.abc import Callable

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
Ready = Callable[[int], None]
"""Called with the events; errors and hang-ups come as such beside READ or WRITE."""


class Timer:
    """A call to come."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class Poller:
    """Runs until `stop`."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, Ready] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._running = True

    def watch(self, descriptor: int, events: int, ready: Ready) -> None:
        """Calls `ready` as long as one of the events holds; with no events the descriptor is left alone."""
        known = descriptor in self._ready
        if not events:
            self.forget(descriptor)
        elif known:
            self._epoll.modify(descriptor, events)
            self._ready[descriptor] = ready
        else:
            self._epoll.register(descriptor, events)
            self._ready[descriptor] = ready

    def forget(self, descriptor: int) -> None:
        """To be called before the descriptor is closed."""
        if self._ready.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        timer = Timer(call)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), timer))
        return timer

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        while self._running:
            for descriptor, events in self._epoll.poll(self._patience()):
                ready = self._ready.get(descriptor)
                if ready is not None:  # else forgotten by a callback of this round
                    ready(events)
            self._call_due()

    def _patience(self) -> float | None:
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _call_due(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            call = heapq.heappop(self._timers)[2].call
            if call is not None:
                call()
