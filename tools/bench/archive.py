"""Files into a container and out of it, as `docker cp` has it."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tools.bench.client import Incomplete
from tools.bench.engine import FOREVER, Engine

SIZE = 100_000_000
NAME = "bench.data"
Sampler = Callable[[], float]


def archive() -> bytes:
    """A tar archive with one file of `SIZE` bytes that do not compress."""
    target, block = io.BytesIO(), os.urandom(1_000_000)
    with tarfile.open(fileobj=target, mode="w") as made:
        member = tarfile.TarInfo(NAME)
        member.size = SIZE
        made.addfile(member, io.BytesIO(block * (SIZE // len(block))))
    return target.getvalue()


def rate(begin: float) -> float:
    """MB (10^6 bytes) for each second since begin."""
    return SIZE / (time.perf_counter() - begin) / 1e6


@contextmanager
def copy_in(engine: Engine) -> Iterator[Sampler]:
    """Into a running container."""
    data = archive()
    with engine.container(FOREVER) as container:
        engine.start(container)

        def sample() -> float:
            begin = time.perf_counter()
            engine.api.call("PUT", f"/containers/{container}/archive?path=/tmp", data)
            return rate(begin)

        yield sample


@contextmanager
def copy_out(engine: Engine) -> Iterator[Sampler]:
    """Out of a running container."""
    with engine.container(FOREVER) as container:
        engine.start(container)
        engine.api.call("PUT", f"/containers/{container}/archive?path=/tmp", archive())

        def sample() -> float:
            begin = time.perf_counter()
            got = len(engine.api.call("GET", f"/containers/{container}/archive?path=/tmp/{NAME}"))
            measured = rate(begin)
            if got < SIZE:
                raise Incomplete(f"{got} of {SIZE} bytes came")
            return measured

        yield sample
