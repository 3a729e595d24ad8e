"""Noticing that the taker of a stream is gone while nothing is written to it."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.streams import Channel


@contextmanager
def on_hang_up(channel: Channel, call: Callable[[], object]) -> Iterator[None]:
    """Calls when the other side has closed both directions (its half-close alone is none).

    The kernel reports that as a hang-up, and an epoll descriptor that waits for nothing else becomes readable. A stream
    across hosts has no socket: there the next write tells.
    """
    if channel.sock is None:
        yield
        return
    loop = asyncio.get_running_loop()
    watcher = select.epoll()
    try:
        watcher.register(channel.sock.fileno(), 0)

        def hung_up() -> None:
            loop.remove_reader(watcher.fileno())
            call()

        loop.add_reader(watcher.fileno(), hung_up)
        yield
    finally:
        loop.remove_reader(watcher.fileno())
        watcher.close()
