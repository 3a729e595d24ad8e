from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from services.builder.adapters.git_commands import Git, GitError
from tests.support.git import GitRepository


@pytest.fixture
def git(tmp_path: Path) -> Git:
    program = shutil.which("git")
    assert program is not None
    return Git(program, {"PATH": os.defpath, "HOME": "/", "GIT_DIR": str(tmp_path / "fetched")}, 1_000_000)


def test_a_commit_by_any_of_its_names(tmp_path: Path, git: Git) -> None:
    repository = GitRepository(tmp_path)
    first, second = repository.commit({"x": "1"}), repository.commit({"x": "2"})
    url = str(tmp_path / repository.name)
    assert [git.fetch(url, name) for name in ("main", "HEAD", first, second)] == [second, second, first, second]
    assert git("cat-file", "-p", f"{first}:x") == "1"


def test_what_git_says_when_it_fails(tmp_path: Path, git: Git) -> None:
    with pytest.raises(GitError, match=r"does not exist|not appear to be"):
        git.fetch(str(tmp_path / "none"), "main")
    with pytest.raises(GitError, match="not a git command"):
        git("nonsense")


def test_all_that_was_fetched_is_bounded(tmp_path: Path, git: Git) -> None:
    for name in ("one", "two"):
        repository = GitRepository(tmp_path, name)
        repository.commit({"x": os.urandom(500_000).hex()})
    git.fetch(str(tmp_path / "one.git"), "main")
    with pytest.raises(GitError, match="larger than 1000000 bytes"):
        git.fetch(str(tmp_path / "two.git"), "main")
