"""Images as a whole: loaded and saved, pulled and pushed, imported and committed; of a Debian tree of many files.

Each engine has a registry in its own network namespace, at `localhost:REGISTRY_PORT`. Between samples the image is
removed and the disk gets to rest, so that no engine pays for what another, or it itself, did before.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tools.bench.client import CLOSE, PREFIX, ApiError, Incomplete, dial, receive_all
from tools.bench.debian_image import MOST_FILES, NAME, DebianImage, made, sha256
from tools.bench.engine import Engine
from tools.bench.processes import peer
from tools.bench.reference import REGISTRY_PORT
from tools.bench.registry import Registry

Sampler = Callable[[], float]
REPOSITORY = f"localhost:{REGISTRY_PORT}/bench-debian"
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


def forget(engine: Engine, *names: str) -> None:
    """Removes images, whether they are there or not, and waits until the engine has nothing to do any more."""
    for name in names:
        try:
            engine.api.call("DELETE", f"/images/{name}?force=1")
        except ApiError as error:
            if error.status != 404:
                raise
    rest(engine)


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
def cleared(engine: Engine, *names: str) -> Iterator[None]:
    """A block that begins and ends without the images."""
    forget(engine, *names)
    try:
        yield
    finally:
        forget(engine, *names)


@contextmanager
def load(engine: Engine) -> Iterator[Sampler]:
    """`docker load` of an archive with plain layers."""
    image = made()

    def sample() -> float:
        forget(engine, NAME)
        return timed(lambda: exchange(engine, "/images/load?quiet=1", image.archive, {}))

    with cleared(engine, NAME):
        yield sample


@contextmanager
def loaded(engine: Engine) -> Iterator[DebianImage]:
    """A block in which the image is there."""
    image = made()
    with cleared(engine, NAME):
        exchange(engine, "/images/load?quiet=1", image.archive, {})
        rest(engine)
        yield image


@contextmanager
def save(engine: Engine) -> Iterator[Sampler]:
    """`docker save`, read to its end."""
    with loaded(engine) as image:
        least = image.archive.stat().st_size // 2  # some engines save compressed layers as they are

        def work() -> None:
            if (got := exchange(engine, f"/images/get?names={NAME}")) < least:
                raise Incomplete(f"{got} bytes came")

        yield lambda: timed(work)


@contextmanager
def disk(engine: Engine) -> Iterator[Sampler]:
    """What the loaded image takes in the engine's folder."""
    image = made()
    root = Path(engine.api.json("GET", "/info")["DockerRootDir"])

    def sample() -> float:
        forget(engine, NAME)
        before = used(root)
        exchange(engine, "/images/load?quiet=1", image.archive, {})
        rest(engine)
        return (used(root) - before) / 1e6

    with cleared(engine, NAME):
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
    image = made()

    def sample() -> float:
        forget(engine, IMPORTED)
        return timed(lambda: exchange(
            engine, f"/images/create?fromSrc=-&repo={IMPORTED}", image.layer(MOST_FILES), {}
        ))  # fmt: skip

    with cleared(engine, IMPORTED):
        yield sample


@contextmanager
def commit(engine: Engine) -> Iterator[Sampler]:
    """`docker commit` of a container that has copied that layer's files."""
    copying = ["busybox", "cp", "-a", "/usr/include", "/copy"]
    with loaded(engine), cleared(engine, COMMITTED), engine.container(copying, Image=NAME) as container:
        engine.start(container)
        if engine.wait(container) != 0:
            raise RuntimeError("the files could not be copied")

        def sample() -> float:
            forget(engine, COMMITTED)
            return timed(lambda: engine.api.call("POST", f"/commit?container={container}&repo={COMMITTED}"))

        yield sample


@contextmanager
def pull(engine: Engine) -> Iterator[Sampler]:
    """`docker pull` from a registry on loopback: three layers, compressed by gzip."""
    name = f"{REPOSITORY}:1"
    with tempfile.TemporaryDirectory(prefix="bench-registry-") as folder:
        seed(Path(folder), made())
        with cleared(engine, name), registry(engine, Path(folder)):

            def sample() -> float:
                forget(engine, name)
                took = timed(lambda: exchange(engine, f"/images/create?fromImage={REPOSITORY}&tag=1", None, {}))
                engine.api.call("GET", f"/images/{name}/json")
                return took

            yield sample


@contextmanager
def push(engine: Engine) -> Iterator[Sampler]:
    """`docker push` of the loaded image to an empty registry on loopback."""
    name, login = f"{REPOSITORY}:1", {"X-Registry-Auth": "e30="}
    with tempfile.TemporaryDirectory(prefix="bench-registry-") as folder, cleared(engine, name):

        def sample() -> float:
            forget(engine, name, NAME)
            exchange(engine, "/images/load?quiet=1", image.archive, {})
            engine.api.call("POST", f"/images/{NAME}/tag?repo={REPOSITORY}&tag=1")
            shutil.rmtree(f"{folder}/store", ignore_errors=True)
            rest(engine)
            with registry(engine, Path(folder)):
                return timed(lambda: exchange(engine, f"/images/{REPOSITORY}/push?tag=1", None, login))

        with loaded(engine) as image:
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
        connection.request("PUT", "/v2/bench-debian/manifests/1", json.dumps(document), {"Content-Type": kind})
        _done(connection, 201)
        connection.close()


def _upload(connection: HTTPConnection, kind: str, blob: Path) -> dict[str, object]:
    digest = f"sha256:{sha256(blob)}"
    connection.request("POST", "/v2/bench-debian/blobs/uploads/")
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
