"""Calls that touch nothing of the kernel: what an engine knows, and how soon it tells what happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from tools.bench.client import Incomplete, dial, receive_head, request
from tools.bench.engine import FOREVER, IMAGE, LABEL, Engine

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


def changes(engine: Engine, name: str) -> tuple[tuple[tuple[str, str, object], tuple[str, ...]], ...]:
    """Calls that change what an engine knows and are undone by the next, each with the reads that must show it."""
    networks = {"Name": name, "CheckDuplicate": True, "Labels": {LABEL: engine.name}}
    return (
        (("POST", f"/images/{IMAGE}/tag?repo={name}&tag=x", None), (f"/images/{name}:x/json", "/images/json")),
        (("DELETE", f"/images/{name}:x", None), ("/images/json",)),
        (("POST", "/volumes/create", {"Name": name}), (f"/volumes/{name}", "/volumes")),
        (("DELETE", f"/volumes/{name}", None), ("/volumes",)),
        (("POST", "/networks/create", networks), (f"/networks/{name}", "/networks")),
        (("DELETE", f"/networks/{name}", None), ("/networks",)),
    )


@contextmanager
def changed(engine: Engine) -> Iterator[Sampler]:
    """Mean time of a read of images, volumes and networks, the first after a change of theirs."""

    def sample() -> float:
        spent, count = 0.0, 0
        for change, paths in changes(engine, f"bench-{time.monotonic_ns()}"):
            engine.api.call(*change)
            for path in paths:
                begin = time.perf_counter()
                engine.api.call("GET", path)
                spent += time.perf_counter() - begin
                count += 1
        return spent * 1000 / count

    yield sample


def change(kind: str) -> Callable[[Engine], AbstractContextManager[Sampler]]:
    """A change of `images` or `volumes`, and the one that undoes it."""

    @contextmanager
    def prepare(engine: Engine) -> Iterator[Sampler]:
        def sample() -> float:
            calls = [each for each, _ in changes(engine, f"bench-{time.monotonic_ns()}") if f"/{kind}/" in each[1]]
            begin = time.perf_counter()
            for each in calls:
                engine.api.call(*each)
            return (time.perf_counter() - begin) * 1000

        yield sample

    return prepare


@contextmanager
def rename(engine: Engine) -> Iterator[Sampler]:
    """`docker rename` of a container that does not run."""
    with engine.container(["true"]) as container:

        def sample() -> float:
            begin = time.perf_counter()
            engine.api.call("POST", f"/containers/{container}/rename?name=bench-{time.monotonic_ns()}")
            return (time.perf_counter() - begin) * 1000

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
