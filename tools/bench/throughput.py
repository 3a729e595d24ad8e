"""How fast an engine passes on what a container writes. Every byte is counted afterwards, outside the measured time."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tools.bench.client import (
    CLOSE,
    UPGRADE,
    Incomplete,
    body_of,
    dial,
    payload_size,
    receive_all,
    receive_head,
    request,
)
from tools.bench.engine import Engine

LINE = "0123456789" * 9 + "abcdefghi\n"
SIZE = 50_000_000
COMMAND = ["cat", "/text"]


@contextmanager
def text() -> Iterator[dict[str, Any]]:
    """A file with lines of 100 bytes, mounted: `cat` of it writes as fast as anyone reads."""
    with tempfile.NamedTemporaryFile("w", prefix="bench-text-") as file:
        file.write(LINE * (SIZE // len(LINE)))
        file.flush()
        yield {"HostConfig": {"Binds": [f"{file.name}:/text:ro"]}}


def rate(size: int, begin: float) -> float:
    """MB (10^6 bytes) for each second since begin."""
    return size / (time.perf_counter() - begin) / 1e6


def check(received: int, expected: int) -> None:
    """Raises `Incomplete` where bytes were lost."""
    if received != expected:
        raise Incomplete(f"{received} of {expected} bytes came")


@contextmanager
def logs_follow(engine: Engine) -> Iterator[Callable[[], float]]:
    """From the start of the container to the end of the stream."""

    def sample() -> float:
        with engine.container(COMMAND, **mounted) as container, dial(engine.path) as connection:
            begin = time.perf_counter()
            engine.start(container)
            connection.sendall(request("GET", f"/containers/{container}/logs?follow=1&stdout=1&stderr=1", CLOSE))
            answer = receive_all(connection)
            measured = rate(SIZE, begin)
            check(payload_size(body_of(answer)), SIZE)
        return measured

    with text() as mounted:
        yield sample


@contextmanager
def attach(engine: Engine) -> Iterator[Callable[[], float]]:
    """Attached before the start; from the start to the end of the stream."""

    def sample() -> float:
        with engine.container(COMMAND, **mounted) as container, dial(engine.path) as connection:
            connection.sendall(request("POST", f"/containers/{container}/attach?stream=1&stdout=1&stderr=1", UPGRADE))
            _, _, early = receive_head(connection).partition(b"\r\n\r\n")
            begin = time.perf_counter()
            engine.start(container)
            stream = early + receive_all(connection)
            measured = rate(SIZE, begin)
            check(payload_size(stream), SIZE)
        return measured

    with text() as mounted:
        yield sample
