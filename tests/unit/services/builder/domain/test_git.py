from __future__ import annotations

import pytest

from services.builder.domain.git import Repository, is_repository, parse
from shared.errors import InvalidArgument


@pytest.mark.parametrize(
    ("remote", "parsed"),
    [
        ("https://h/a.git", ("https://h/a.git", "HEAD", "")),
        ("https://h/a.git#main:sub/folder/", ("https://h/a.git", "main", "sub/folder")),
        ("git://h/a#:sub", ("git://h/a", "HEAD", "sub")),
        ("github.com/a/b#v1.0", ("https://github.com/a/b", "v1.0", "")),
        ("git@h:a/b.git#feature/x", ("git@h:a/b.git", "feature/x", "")),
    ],
)
def test_addresses(remote: str, parsed: tuple[str, str, str]) -> None:
    assert is_repository(remote)
    assert parse(remote) == Repository(*parsed)


@pytest.mark.parametrize("remote", ["https://h/a.tar", "https://h/a.git/x", "ext::sh -c x", "file:///a.git", "/a.git"])
def test_what_is_no_repository(remote: str) -> None:
    assert not is_repository(remote)


@pytest.mark.parametrize(
    "remote",
    ["git://h/a#--upload-pack=x", "git://h/a#a:../b", "git://h/a#+a", "git://h/a#a b", "git://h/a b", "git://h/a#a..b",
     "git://h/" + "a" * 5000],
)  # fmt: skip
def test_what_git_would_take_for_something_else(remote: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid"):
        parse(remote)


def test_ssh_is_known() -> None:
    assert parse("git@h:a").by_ssh
    assert not parse("git://h/a").by_ssh
