"""What is measured: each measure prepares an engine, then takes one sample at a time."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal

from tools.bench.archive import copy_in, copy_out
from tools.bench.building import build
from tools.bench.client import UPGRADE, dial, receive_all, receive_head, request
from tools.bench.distribution import commit, disk, import_, load, pull, push, save
from tools.bench.engine import FOREVER, IMAGE, Engine
from tools.bench.networking import between, names, network, published
from tools.bench.reads import change, changed, events, inspected, reads, rename
from tools.bench.throughput import attach, logs_follow

Sampler = Callable[[], float]
Better = Literal["less", "more"]

PINGS = 200
BURST = 50
IDLE_SECONDS = 10.0
REST_SECONDS = 60.0


@dataclass(frozen=True)
class Measure:
    """`prepare` makes an engine ready and gives the function that takes a sample, in `unit`.

    `population` containers run beside it, or `created` ones are there that do not. `floor` names what of
    `tools.bench.floor` does the same work bare.
    """

    name: str
    title: str
    unit: str
    prepare: Callable[[Engine], AbstractContextManager[Sampler]]
    better: Better = "less"
    rounds: int = 15
    population: int = 0
    created: int = 0
    floor: str = ""


def milliseconds(work: Callable[[], object]) -> float:
    """How long work takes."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000


@contextmanager
def ping(engine: Engine) -> Iterator[Sampler]:
    """Mean time of `GET /_ping` over one kept-alive connection."""

    def sample() -> float:
        return milliseconds(lambda: [engine.api.call("GET", "/_ping") for _ in range(PINGS)]) / PINGS

    yield sample


def cycle(network: str) -> Callable[[Engine], AbstractContextManager[Sampler]]:
    """create + start + wait + remove of `true`, over the API."""

    @contextmanager
    def prepare(engine: Engine) -> Iterator[Sampler]:
        def work() -> None:
            container = engine.create(["true"], network)
            engine.start(container)
            engine.wait(container)
            engine.remove(container)

        yield lambda: milliseconds(work)

    return prepare


@contextmanager
def cli_run(engine: Engine) -> Iterator[Sampler]:
    """`docker run --rm busybox true` from start to end of the client."""
    command = ["docker", "run", "--rm", IMAGE, "true"]
    environment = {**os.environ, "DOCKER_HOST": engine.host}

    def work() -> None:
        subprocess.run(command, check=True, capture_output=True, env=environment)

    yield lambda: milliseconds(work)


@contextmanager
def burst(engine: Engine) -> Iterator[Sampler]:
    """50 created containers on the bridge are started by 50 requests at once; until the last one is answered."""

    def work(containers: list[str]) -> None:
        connections = [dial(engine.path) for _ in containers]
        for container, connection in zip(containers, connections, strict=True):
            connection.sendall(request("POST", f"/containers/{container}/start", {"Connection": "close"}))
        heads = [receive_head(connection) for connection in connections]
        for connection in connections:
            connection.close()
        failed = [head for head in heads if b" 204 " not in head[:20]]
        if failed:
            raise RuntimeError(f"{len(failed)} of {len(containers)} starts failed: {failed[0]!r}")

    def sample() -> float:
        containers = [engine.create(FOREVER, "bridge") for _ in range(BURST)]
        try:
            return milliseconds(lambda: work(containers))
        finally:
            for container in containers:
                engine.remove(container, force=True)

    yield sample


@contextmanager
def exec_(engine: Engine) -> Iterator[Sampler]:
    """exec create + start (attached, to the end of its output) + inspect."""
    with engine.container(FOREVER) as container:
        engine.start(container)

        def work() -> None:
            body = {"AttachStdout": True, "AttachStderr": True, "Cmd": ["true"]}
            identity = engine.api.json("POST", f"/containers/{container}/exec", body)["Id"]
            with dial(engine.path) as connection:
                connection.sendall(request("POST", f"/exec/{identity}/start", UPGRADE, {"Detach": False, "Tty": False}))
                receive_all(connection)
            code = engine.api.json("GET", f"/exec/{identity}/json")["ExitCode"]
            if code != 0:
                raise RuntimeError(f"exec ended with {code}")

        yield lambda: milliseconds(work)


@contextmanager
def listing(engine: Engine) -> Iterator[Sampler]:
    """`docker ps --all`: whatever containers there are."""
    yield lambda: milliseconds(lambda: engine.api.call("GET", "/containers/json?all=1"))


@contextmanager
def inspect(engine: Engine) -> Iterator[Sampler]:
    """`docker inspect` of a running container."""
    with engine.container(FOREVER, "bridge") as container:
        engine.start(container)
        yield lambda: milliseconds(lambda: engine.api.call("GET", f"/containers/{container}/json"))


@contextmanager
def memory(engine: Engine) -> Iterator[Sampler]:
    """PSS of all processes of the engine."""
    yield engine.processes.pss


@contextmanager
def idle_memory(engine: Engine) -> Iterator[Sampler]:
    """The same once nothing has been asked of the engine for a minute."""
    time.sleep(max(0.0, engine.prepared + REST_SECONDS - time.monotonic()))
    yield engine.processes.pss


@contextmanager
def idle_cpu(engine: Engine) -> Iterator[Sampler]:
    """Percent of one processor that the engine uses while nothing is asked of it."""

    def sample() -> float:
        before, begin = engine.processes.cpu_seconds(), time.perf_counter()
        time.sleep(IDLE_SECONDS)
        return (engine.processes.cpu_seconds() - before) / (time.perf_counter() - begin) * 100

    yield sample


MEASURES: tuple[Measure, ...] = (
    Measure("memory-idle", "memory, idle for a minute", "MB", idle_memory, rounds=3),
    Measure("cpu-idle", "processor, idle", "%", idle_cpu, rounds=1),
    Measure("ping", f"ping (mean of {PINGS})", "ms", ping),
    Measure("cycle", "API create+start+wait+remove, no network", "ms", cycle("none"), floor="cycle"),
    Measure("cycle-bridge", "API create+start+wait+remove, bridge", "ms", cycle("bridge"), floor="cycle-bridge"),
    Measure("cli-run", "docker run --rm (CLI)", "ms", cli_run, floor="cli-run"),
    Measure("burst", f"{BURST} starts at once, bridge", "ms", burst, rounds=3, floor="burst"),
    Measure("exec", "exec, attached", "ms", exec_, floor="exec"),
    Measure("build-cold", "build of 8 steps (2 RUN), nothing cached", "ms", build(cached=False), rounds=5),
    Measure("build-cached", "the same build, all cached", "ms", build(cached=True)),
    Measure("load", "load of 386 MB, 24,500 files", "ms", load, rounds=3),
    Measure("save", "save of such an image", "ms", save, rounds=3),
    Measure("pull", "pull of such an image (80 MB gzip, 3 layers)", "ms", pull, rounds=3),
    Measure("push", "push of such an image, just loaded", "ms", push, rounds=3),
    Measure("disk", "disk use of such an image", "MB", disk, rounds=1),
    Measure("import", "import of 242 MB, 19,500 files", "ms", import_, rounds=3),
    Measure("commit", "commit of 18,000 copied files", "ms", commit, rounds=3),
    Measure("logs", "logs -f of 50 MB while they are written", "MB/s", logs_follow, "more", rounds=3),
    Measure("attach", "attach, output", "MB/s", attach, "more", rounds=3),
    Measure("reads", "API reads, mean of 8 kinds", "ms", reads, rounds=10),
    Measure("reads-changed", "API reads, each the first after a change", "ms", changed),
    Measure("tag", "tag + rmi of the tag", "ms", change("images")),
    Measure("volume", "volume create+remove", "ms", change("volumes")),
    Measure("rename", "rename", "ms", rename),
    Measure("events", "exec create, until its event comes", "ms", events),
    Measure("network", "network create+remove", "ms", network, rounds=10),
    Measure("tcp", "TCP between two containers", "MB/s", between, "more", rounds=3),
    Measure("published", "TCP through a published port", "MB/s", published, "more", rounds=3),
    Measure("names", "names resolved in a container", "1/s", names, "more", rounds=5),
    Measure("copy-in", "cp of 100 MB into a container", "MB/s", copy_in, "more", rounds=3),
    Measure("copy-out", "cp of 100 MB out of a container", "MB/s", copy_out, "more", rounds=3),
    Measure("memory-1", "memory with 1 running", "MB", memory, rounds=3, population=1),
    Measure("start-beside-1", "bridge cycle beside 1 running", "ms", cycle("bridge"), population=1),
    Measure("start-beside-50", "bridge cycle beside 50 running", "ms", cycle("bridge"), population=50),
    Measure("start-beside-100", "bridge cycle beside 100 running", "ms", cycle("bridge"), population=100),
    Measure("memory-100", "memory with 100 running", "MB", memory, rounds=3, population=100),
    Measure("start-beside-200", "bridge cycle beside 200 running", "ms", cycle("bridge"), population=200),
    Measure("list-200", "list of 200", "ms", listing, population=200),
    Measure("inspect", "inspect, beside 200", "ms", inspect, population=200),
    Measure("list-1000", "list of 1000", "ms", listing, rounds=10, created=1000),
    Measure("inspect-1000", "inspect, one of 1000", "ms", inspected, created=1000),
)
