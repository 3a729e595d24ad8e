from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from services.builder.adapters.fetch import clone
from services.builder.adapters.spool import Spools
from services.builder.domain.git import Repository, parse
from shared.errors import InvalidArgument
from tests.support.git import GitRepository, git_daemon, git_http

MOST = 50_000_000
Server = Callable[[Path], AbstractContextManager[str]]
SERVERS: list[Server] = [git_daemon, partial(git_http, smart=True), partial(git_http, smart=False)]


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    return GitRepository(tmp_path)


async def tree(repository: Repository, spools: Spools, most: int = MOST) -> dict[str, tarfile.TarInfo]:
    """What came, by name."""
    number = await clone(repository, spools, most)
    data = spools.read(number, 0, spools.size(number))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: member for member in archive}


@pytest.mark.parametrize("serve", SERVERS, ids=["git", "http", "plain http"])
async def test_branches_tags_commits_and_folders(repository: GitRepository, spools: Spools, serve: Server) -> None:
    first = repository.commit({"Dockerfile": "FROM scratch", "sub/x": "1"}, {"link": "/etc/passwd"})
    repository.git("tag", "-a", "-m", "m", "v1")
    repository.commit({"Dockerfile": "FROM scratch", "y": "2"})
    with serve(repository.root) as base:
        url = f"{base}{repository.name}"
        found = await tree(parse(url), spools)
        assert found.keys() == {"Dockerfile", "sub", "sub/x", "link", "y"}
        assert (found["y"].mode, found["y"].mtime, found["link"].linkname) == (0o644, 1700000000, "/etc/passwd")
        assert (await tree(parse(f"{url}#v1"), spools)).keys() == found.keys() - {"y"}
        assert (await tree(parse(f"{url}#{first}"), spools)).keys() == found.keys() - {"y"}
        assert (await tree(parse(f"{url}#main:sub"), spools)).keys() == {"x"}
    assert list((spools._folder / "folders").iterdir()) == []


async def test_nothing_of_the_repository_is_run(repository: GitRepository, spools: Spools, tmp_path: Path) -> None:
    attributes = "x export-ignore\ny export-subst\nz filter=evil\n"
    repository.commit({".gitattributes": attributes, "x": "1", "y": "$Format:%H$", "z": "3"})
    hook = repository.root / repository.name / "hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    with git_daemon(repository.root) as base:
        number = await clone(parse(f"{base}{repository.name}"), spools, MOST)
    with tarfile.open(fileobj=io.BytesIO(spools.read(number, 0, spools.size(number)))) as archive:
        assert archive.extractfile("y").read() == b"$Format:%H$"  # type: ignore[union-attr]
        assert {"x", "z"} <= set(archive.getnames())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("fragment", "why"),
    [("#none", "neither a branch nor a tag nor a commit none"), ("#main:none", "none"), ("#main:f", "not a directory")],
)
async def test_what_it_does_not_have(repository: GitRepository, spools: Spools, fragment: str, why: str) -> None:
    repository.commit({"f": "text"})
    with git_daemon(repository.root) as base, pytest.raises(InvalidArgument, match=f"unable to 'git clone' .*{why}"):
        await tree(parse(f"{base}{repository.name}{fragment}"), spools)


async def test_sizes_are_bounded(repository: GitRepository, spools: Spools) -> None:
    repository.commit({"f": os.urandom(1_000_000).hex()})
    with git_daemon(repository.root) as base:
        with pytest.raises(InvalidArgument):
            await tree(parse(f"{base}{repository.name}"), spools, 500_000)
        with pytest.raises(InvalidArgument, match="larger than 1500000 bytes"):
            await tree(parse(f"{base}{repository.name}"), spools, 1_500_000)


async def test_the_sum_is_bounded(repository: GitRepository, spools: Spools) -> None:
    """Of all that was fetched, however many fetches it took: an old commit comes with all that came after it."""
    old = repository.commit({"f": os.urandom(300_000).hex()})
    for number in range(4):
        repository.commit({f"g{number}": os.urandom(300_000).hex()})
    with git_http(repository.root, smart=False) as base:
        with pytest.raises(InvalidArgument, match="larger than 1000000 bytes"):
            await tree(parse(f"{base}{repository.name}#{old}"), spools, 1_000_000)
        assert (await tree(parse(f"{base}{repository.name}#{old}"), spools)).keys() == {"f"}


@pytest.mark.parametrize("url", ["file:///etc", "ext::touch x", "/etc"])
async def test_other_transports_are_refused(spools: Spools, url: str) -> None:
    with pytest.raises(InvalidArgument, match="not allowed"):
        await tree(Repository(url, "HEAD", ""), spools)


async def test_nobody_there(spools: Spools) -> None:
    with pytest.raises(InvalidArgument, match="unable to 'git clone'"):
        await tree(parse("git://127.0.0.1:1/x"), spools)
