"""Images as a whole: loaded and saved, pulled and pushed, imported and committed; of a Debian tree of many files.

Each engine has a registry in its own network namespace, at `localhost:REGISTRY_PORT`. Every sample has an image of its
own (`variant`), and begins when the disk is at rest; images are removed at the end of the bench. It takes 20 GB.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tools.bench.client import CLOSE, PREFIX, ApiError, Incomplete, dial, receive_all
from tools.bench.debian_image import MOST_FILES, REPOSITORY, DebianImage, made, sha256, variant
from tools.bench.engine import Engine
from tools.bench.processes import peer
from tools.bench.reference import REGISTRY_PORT
from tools.bench.registry import Registry

Sampler = Callable[[], float]
REGISTRY = f"localhost:{REGISTRY_PORT}/bench-debian"
IMPORTED = "bench-imported"
COMMITTED = "bench-committed"
QUIET_SECONDS = 0.5
LONGEST_REST = 60.0
_TYPE = "application/vnd.docker"


def exchange(engine: Engine, path: str, body: Path | None = None, headers: dict[str, str] | None = None) -> int:
    """POST, or GET where there is neither body nor headers; the size of the answer. Its error raises `RuntimeError`."""
    method = "GET" if body is None and headers is None else "POST"
    size = body.stat().st_size if body else 0
    head = [f"{method} {PREFIX}{path} HTTP/1.1", "Host: localhost", f"Content-Length: {size}",
            *(f"{name}: {value}" for name, value in {**CLOSE, **(headers or {})}.items())]  # fmt: skip
    with dial(engine.path) as connection:
        connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n")
        if body is not None:
            with body.open("rb") as file:
                connection.sendfile(file)
        return check(connection) if method == "POST" else measure(connection)


def check(connection: Any) -> int:
    """The size of an answer in JSON lines; raises `RuntimeError` where it tells of an error."""
    answer = receive_all(connection)
    if b'"error"' in answer or answer[9:10] != b"2":
        raise RuntimeError(answer[-300:].decode(errors="replace"))
    return len(answer)


def measure(connection: Any) -> int:
    """The size of an answer that is too large to keep; raises `ApiError`."""
    first = part = connection.recv(1 << 20)
    size = len(part)
    while part := connection.recv(1 << 20):
        size += len(part)
    if first[9:10] != b"2":
        raise ApiError(int(first[9:12] or b"0"), first[-300:].decode(errors="replace"))
    return size


def rest(engine: Engine) -> None:
    """Returns when all is on disk and the engine's processes have been quiet for a moment."""
    deadline = time.monotonic() + LONGEST_REST
    os.sync()
    before = engine.processes.cpu_seconds()
    while time.monotonic() < deadline:
        time.sleep(QUIET_SECONDS)
        now = engine.processes.cpu_seconds()
        if now - before < QUIET_SECONDS / 10:
            break
        before = now
    os.sync()


def timed(work: Callable[[], object]) -> float:
    """Milliseconds that work takes."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000


@contextmanager
def load(engine: Engine) -> Iterator[Sampler]:
    """`docker load` of an archive with plain layers."""

    def sample() -> float:
        with variant(made()) as image:
            rest(engine)
            return timed(lambda: take_in(engine, image))

    yield sample


def take_in(engine: Engine, image: DebianImage) -> None:
    """Loads the image."""
    engine.images.append(image.name)
    exchange(engine, "/images/load?quiet=1", image.archive, {})


@contextmanager
def save(engine: Engine) -> Iterator[Sampler]:
    """`docker save`, read to its end."""
    with variant(made()) as image:
        take_in(engine, image)
        name, least = image.name, image.archive.stat().st_size // 2  # some engines save layers compressed
    rest(engine)

    def work() -> None:
        if (got := exchange(engine, f"/images/get?names={name}")) < least:
            raise Incomplete(f"{got} bytes came")

    yield lambda: timed(work)


@contextmanager
def disk(engine: Engine) -> Iterator[Sampler]:
    """What one more loaded image takes in the engine's folder."""
    root = Path(engine.api.json("GET", "/info")["DockerRootDir"])

    def sample() -> float:
        rest(engine)
        before = used(root)
        with variant(made()) as image:
            take_in(engine, image)
        rest(engine)
        return (used(root) - before) / 1e6

    yield sample


def used(root: Path) -> int:
    """Bytes on disk below root; what several names share counts once."""
    seen, total = set[int](), 0
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            try:
                status = os.lstat(os.path.join(folder, name))
            except FileNotFoundError:
                continue
            if status.st_ino not in seen:
                seen.add(status.st_ino)
                total += status.st_blocks * 512
    return total


@contextmanager
def import_(engine: Engine) -> Iterator[Sampler]:
    """`docker import` of the layer with most of the files."""

    def sample() -> float:
        with variant(made()) as image:
            name, layer = f"{IMPORTED}:{image.tag}", image.layer(MOST_FILES)
            engine.images.append(name)
            rest(engine)
            path = f"/images/create?fromSrc=-&repo={IMPORTED}&tag={image.tag}"
            return timed(lambda: exchange(engine, path, layer, {}))

    yield sample


@contextmanager
def commit(engine: Engine) -> Iterator[Sampler]:
    """`docker commit` of a container that has copied that layer's files."""
    with variant(made()) as image, ExitStack() as stack:
        take_in(engine, image)

        def sample() -> float:
            script = f"busybox cp -a /usr/include /copy; echo {time.monotonic_ns()} >/copy/when"
            copying = ["busybox", "sh", "-c", script]
            container = stack.enter_context(engine.container(copying, Image=image.name))
            engine.start(container)
            if engine.wait(container) != 0:
                raise RuntimeError("the files could not be copied")
            engine.images.append(f"{COMMITTED}:{container[:12]}")
            rest(engine)
            path = f"/commit?container={container}&repo={COMMITTED}&tag={container[:12]}"
            return timed(lambda: engine.api.call("POST", path))

        yield sample


@contextmanager
def pull(engine: Engine) -> Iterator[Sampler]:
    """`docker pull` from a registry on loopback: three layers, compressed by gzip."""

    def sample() -> float:
        with tempfile.TemporaryDirectory(prefix="bench-registry-") as folder, variant(made()) as image:
            seed(Path(folder), image)
            rest(engine)
            engine.images.append(f"{REGISTRY}:1")
            with registry(engine, Path(folder)):
                took = timed(lambda: exchange(engine, f"/images/create?fromImage={REGISTRY}&tag=1", None, {}))
            config = sha256(image.folder / "config.json")
            if engine.api.json("GET", f"/images/{REGISTRY}:1/json")["Id"].removeprefix("sha256:") != config:
                raise RuntimeError("the image did not come")
            engine.api.call("POST", f"/images/{REGISTRY}:1/tag?repo={REPOSITORY}&tag={image.tag}")
            engine.images.append(image.name)
            return took

    yield sample


@contextmanager
def push(engine: Engine) -> Iterator[Sampler]:
    """`docker push` of an image just loaded to an empty registry on loopback."""
    login = {"X-Registry-Auth": "e30="}

    def sample() -> float:
        with tempfile.TemporaryDirectory(prefix="bench-registry-") as folder:
            with variant(made()) as image:
                take_in(engine, image)
            engine.api.call("POST", f"/images/{image.name}/tag?repo={REGISTRY}&tag={image.tag}")
            engine.images.append(f"{REGISTRY}:{image.tag}")
            rest(engine)
            with registry(engine, Path(folder)):
                return timed(lambda: exchange(engine, f"/images/{REGISTRY}/push?tag={image.tag}", None, login))

    yield sample


def registry(engine: Engine, root: Path) -> Registry:
    """To be entered: a registry beside the engine."""
    return Registry(root, Path(f"/proc/{peer(engine.path)}/ns/net"), REGISTRY_PORT)


def seed(root: Path, image: DebianImage) -> None:
    """Puts the image into a registry's folder."""
    with Registry(root) as running:
        connection = HTTPConnection("localhost", running.port, timeout=300)
        config = _upload(connection, f"{_TYPE}.container.image.v1+json", image.folder / "config.json")
        layers = [_upload(connection, f"{_TYPE}.image.rootfs.diff.tar.gzip", blob) for blob in image.blobs()]
        kind = f"{_TYPE}.distribution.manifest.v2+json"
        document = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers}
        connection.request("PUT", f"/v2/{REPOSITORY}/manifests/1", json.dumps(document), {"Content-Type": kind})
        _done(connection, 201)
        connection.close()


def _upload(connection: HTTPConnection, kind: str, blob: Path) -> dict[str, object]:
    digest = f"sha256:{sha256(blob)}"
    connection.request("POST", f"/v2/{REPOSITORY}/blobs/uploads/")
    location = _done(connection, 202)
    with blob.open("rb") as file:
        size = {"Content-Length": str(blob.stat().st_size)}
        connection.request("PUT", f"{location}&digest={digest}", file, size)
        _done(connection, 201)
    return {"mediaType": kind, "digest": digest, "size": blob.stat().st_size}


def _done(connection: HTTPConnection, status: int) -> str:
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != status:
        raise RuntimeError(f"the registry answered {answer.status}: {text[:300]!r}")
    return answer.headers.get("Location", "")
