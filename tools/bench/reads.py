"""Calls that touch nothing of the kernel: what an engine knows, and how soon it tells what happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tools.bench.client import Incomplete, dial, receive_head, request
from tools.bench.engine import FOREVER, IMAGE, Engine

TIMES = 20
MOST_SECONDS = 60.0
"""What a sample may take; podman tells of no event before its first, and may look at all its storage for one read."""
PATHS = (
    "/version", "/info", "/images/json", f"/images/{IMAGE}/json", "/networks", "/networks/bridge", "/volumes",
    "/containers/json",
)  # fmt: skip
Sampler = Callable[[], float]


@contextmanager
def reads(engine: Engine) -> Iterator[Sampler]:
    """Mean time of a read, over several kinds of them."""

    def sample() -> float:
        begin = time.perf_counter()
        for path in PATHS * TIMES:
            engine.api.call("GET", path)
            if time.perf_counter() - begin > MOST_SECONDS:
                raise Incomplete(f"{len(PATHS) * TIMES} reads took more than {MOST_SECONDS:.0f} s")
        return (time.perf_counter() - begin) * 1000 / len(PATHS) / TIMES

    yield sample


@contextmanager
def inspected(engine: Engine) -> Iterator[Sampler]:
    """`docker inspect` of one of the containers there are."""
    container = engine.pile[len(engine.pile) // 2]

    def sample() -> float:
        begin = time.perf_counter()
        engine.api.call("GET", f"/containers/{container}/json")
        return (time.perf_counter() - begin) * 1000

    yield sample


@contextmanager
def events(engine: Engine) -> Iterator[Sampler]:
    """From asking for an exec to the event that tells of it; nothing is started and nothing stored."""
    with engine.container(FOREVER) as container, dial(engine.path, MOST_SECONDS) as connection:
        engine.start(container)
        connection.sendall(request("GET", "/events", {}))
        receive_head(connection)

        def sample() -> float:
            begin = time.perf_counter()
            made = engine.api.json("POST", f"/containers/{container}/exec", {"Cmd": ["true"]})["Id"]
            data = b""
            while made.encode() not in data:
                part = connection.recv(65536)
                if not part:
                    raise Incomplete("the stream of events has ended")
                data += part
            return (time.perf_counter() - begin) * 1000

        yield sample
