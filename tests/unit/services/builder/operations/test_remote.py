from __future__ import annotations

import functools
import http.server
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from tests.support.builder_world import World
from tests.support.git import GitRepository, git_http
from tools.images import entry, tar


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serves what is in `tmp_path`."""
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


@pytest.mark.parametrize("remote", ["ftp://x", "client-session", "nonsense"])
async def test_what_is_no_place(world: World, remote: str) -> None:
    await world.send(b"", remote=remote)
    assert world.error == f"remoteURL ({remote}) could not be recognized as URL"


async def test_a_git_repository(world: World, tmp_path: Path) -> None:
    repository = GitRepository(tmp_path)
    repository.commit({"sub/Dockerfile": "FROM busybox\nCOPY x /in/\n", "sub/x": "1", "Dockerfile": "FROM scratch\n"})
    with git_http(tmp_path, smart=True) as base:
        await world.send(b"", remote=f"{base}made.git#main:sub", tags=("t",))
        assert "in/x" in await world.files(await world.image("t"))
        await world.send(b"", remote=f"{base}other.git")
    assert "unable to 'git clone'" in world.error


async def test_a_dockerfile_and_an_archive(world: World, server: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_bytes(b"FROM busybox\nENV A=1\n")
    (tmp_path / "c.tar").write_bytes(tar([entry("d", b"FROM busybox\nCOPY x /x\n"), entry("x", b"x")]))
    await world.send(b"", remote=f"{server}/Dockerfile")
    assert "Step 2/2 : ENV A=1" in world.text
    await world.send(b"", remote=f"{server}/c.tar", dockerfile="d", tags=("t",))
    assert "x" in await world.files(await world.image("t"))
    await world.send(b"", remote=f"{server}/none")
    assert "with status 404" in world.error


async def test_adding_by_url(world: World, server: str, tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_bytes(b"text")
    text = f"FROM busybox\nADD {server}/f.txt /in/\nADD --chown=alice --chmod=0644 {server}/f.txt /as\n"
    found = await world.files(await world.built(text))
    assert (found["in/f.txt"].size, found["in/f.txt"].mode) == (4, 0o600)
    assert (found["as"].uid, found["as"].mode) == (1000, 0o644)
    for line, why in (
        (f"COPY {server}/f.txt /x", "COPY failed: source can't be a URL for COPY"),
        (f"ADD {server}/ /x/", f"ADD failed: cannot determine filename for source {server}/"),
        (f"ADD --checksum=sha256:0 {server}/f.txt /x", "digest mismatch"),
    ):
        await world.build(f"FROM busybox\n{line}\n")
        assert why in world.error
