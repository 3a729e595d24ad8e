from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from services.builder.adapters.fetch import clone
from services.builder.adapters.git_commands import GitError
from services.builder.adapters.git_submodules import resolved
from services.builder.adapters.spool import Spools
from services.builder.domain.git import parse
from shared.errors import InvalidArgument
from tests.support.git import GitRepository, git_daemon

MOST = 50_000_000


def linked(repository: GitRepository, path: str, commit: str, url: str = "") -> None:
    """Commits a submodule; without an address nobody says where it is."""
    if url:
        repository.commit({".gitmodules": f'[submodule "any name"]\n\tpath = {path}\n\turl = {url}\n'})
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    repository.git("commit", "-q", "-m", "link")
    repository.publish()


async def tree(url: str, spools: Spools, most: int = MOST) -> dict[str, tarfile.TarInfo]:
    number = await clone(parse(url), spools, most)
    with tarfile.open(fileobj=io.BytesIO(spools.read(number, 0, spools.size(number)))) as archive:
        return {member.name: member for member in archive}


async def test_their_files_are_there_and_those_of_theirs(tmp_path: Path, spools: Spools) -> None:
    inner, middle, outer = (GitRepository(tmp_path, name) for name in ("inner", "middle", "outer"))
    old = inner.commit({"deep": "1"})
    inner.commit({"newer": "2"})
    middle.commit({"here": "x"})
    linked(middle, "lib/inner", old, "../inner.git")
    outer.commit({"Dockerfile": "FROM scratch", "vendor/own": "y"})
    with git_daemon(tmp_path) as base:
        linked(outer, "vendor/middle", middle.git("rev-parse", "HEAD"), f"{base}middle.git")
        found = await tree(f"{base}outer.git", spools)
        assert {"Dockerfile", "vendor/own", "vendor/middle/here", "vendor/middle/lib/inner/deep"} <= found.keys()
        assert "vendor/middle/lib/inner/newer" not in found
        assert {each.mtime for each in found.values()} == {1700000000}
        assert (await tree(f"{base}outer.git#main:vendor", spools)).keys() >= {"own", "middle/here"}


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "no url found for submodule path 's'"),
        ("file:///etc", "submodule 's'.*not allowed"),
        ("ext::sh -c x", "submodule 's'.*not allowed"),
        ("../../../x", "leads nowhere|submodule 's'"),
        ("../none.git", "submodule 's'"),
    ],
)
async def test_what_cannot_be_fetched(tmp_path: Path, spools: Spools, url: str, why: str) -> None:
    repository = GitRepository(tmp_path)
    commit = repository.commit({"x": "1"})
    linked(repository, "s", commit, url)
    with git_daemon(tmp_path) as base, pytest.raises(InvalidArgument, match=f"unable to 'git clone' .*{why}"):
        await tree(f"{base}{repository.name}", spools)


async def test_paths_with_any_characters(tmp_path: Path, spools: Spools) -> None:
    """A line end in one must not become another line for git."""
    inner, outer = GitRepository(tmp_path, "inner"), GitRepository(tmp_path, "outer")
    commit = inner.commit({"f": "1"})
    path = "a\n100644 b\tc"
    outer.commit({".gitmodules": '[submodule "s"]\n\tpath = "a\\n100644 b\\tc"\n\turl = ../inner.git\n'})
    listed = f"160000 {commit}\t{path}\0"
    outer.git("update-index", "-z", "--add", "--index-info", input=listed)
    outer.git("commit", "-q", "-m", "link")
    outer.publish()
    with git_daemon(tmp_path) as base:
        assert f"{path}/f" in await tree(f"{base}outer.git", spools)


async def test_endless_trees(tmp_path: Path, spools: Spools) -> None:
    """Trees that hold each other ten times over: a few kilobytes, ten billion files, none of which is kept in mind."""
    repository = GitRepository(tmp_path)
    repository.commit({"x": "1"})
    below = f"100644 blob {repository.git('rev-parse', 'HEAD:x')}"
    for _ in range(10):
        below = "040000 tree " + repository.git("mktree", input="".join(f"{below}\t{n}\n" for n in range(10)))
    commit = repository.git("commit-tree", "-m", "bomb", below.split()[-1])
    repository.git("update-ref", "refs/heads/main", commit)
    repository.publish()
    with git_daemon(tmp_path) as base, pytest.raises(InvalidArgument, match=r"has more than \d+ files"):
        await tree(f"{base}{repository.name}", spools)


async def test_too_many(tmp_path: Path, spools: Spools) -> None:
    repository = GitRepository(tmp_path)
    first = repository.commit({"x": "1"})
    names = [f"s{number}" for number in range(101)]
    repository.commit({".gitmodules": "".join(f'[submodule "{n}"]\npath = {n}\nurl = ../made.git\n' for n in names)})
    for name in names:
        repository.git("update-index", "--add", "--cacheinfo", f"160000,{first},{name}")
    repository.git("commit", "-q", "-m", "links")
    repository.publish()
    with git_daemon(tmp_path) as base, pytest.raises(InvalidArgument, match="more than 100 submodules"):
        await tree(f"{base}{repository.name}", spools)


@pytest.mark.parametrize(
    ("parent", "address", "whole"),
    [
        ("https://h/a/b.git", "../c.git", "https://h/a/c.git"),
        ("https://h/a/b.git/", "./c", "https://h/a/b.git/c"),
        ("git@h:a/b.git", "../c.git", "git@h:a/c.git"),
        ("ssh://u@h:22/a/b", "../../c", "ssh://u@h:22/c"),
        ("https://h/a", "git://other/x", "git://other/x"),
    ],
)
def test_addresses(parent: str, address: str, whole: str) -> None:
    assert resolved(parent, address) == whole


@pytest.mark.parametrize(("parent", "address"), [("/etc", "../x"), ("https://h/a", "../")])
def test_addresses_that_lead_nowhere(parent: str, address: str) -> None:
    with pytest.raises(GitError, match="leads nowhere"):
        resolved(parent, address)
