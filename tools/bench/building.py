"""docker build by its API: eight steps, two of them RUN; everything anew, or everything found again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from tools.bench.client import CLOSE, PREFIX, dial, receive_all
from tools.bench.engine import IMAGE, Engine
from tools.images import directory, entry, tar

Sampler = Callable[[], float]
DOCKERFILE = f"""FROM {IMAGE}
ENV A=b
COPY a /a
RUN echo 1 > /one
WORKDIR /w
COPY sub /sub
RUN echo 2 > /two
CMD ["sh"]
"""


def context() -> bytes:
    """What is sent."""
    return tar([
        entry("Dockerfile", DOCKERFILE.encode()), entry("a", b"a"), directory("sub"), entry("sub/x", b"x"),
    ])  # fmt: skip


def build(cached: bool) -> Callable[[Engine], AbstractContextManager[Sampler]]:
    """Milliseconds of a build."""

    @contextmanager
    def prepare(engine: Engine) -> Iterator[Sampler]:
        data = context()
        if cached:
            send(engine.path, data, False)

        def sample() -> float:
            begin = time.perf_counter()
            send(engine.path, data, not cached)
            return (time.perf_counter() - begin) * 1000

        yield sample

    return prepare


def send(path: str, data: bytes, anew: bool) -> None:
    """One build to its end; raises `RuntimeError` when it fails."""
    head = [f"POST {PREFIX}/build?rm=1&nocache={int(anew)} HTTP/1.1", "Host: localhost", f"Content-Length: {len(data)}",
            "Content-Type: application/x-tar", *(f"{name}: {value}" for name, value in CLOSE.items())]  # fmt: skip
    with dial(path) as connection:
        connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + data)
        answer = receive_all(connection)
    if b"Successfully built" not in answer:
        raise RuntimeError(f"the build failed: {answer[-500:]!r}")
