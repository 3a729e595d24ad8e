"""Submodules of a repository that is fetched: their trees instead of the links to their commits (gitmodules(5))."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from itertools import islice

from .git_commands import Git, GitError

MOST_SUBMODULES = 100
MOST_FILES = 2_000_000
"""A few kilobytes of trees may hold each other to have more files than anybody can count."""
_LINK = "160000"
_RELATIVE = ("./", "../")
_PLACE = re.compile(r"(?P<host>[a-z+]+://[^/]*|[^/:]+@[^/:]+:)(?P<path>.*)", re.IGNORECASE)


def included(git: Git, url: str, commit: str) -> str:
    """The commit itself, or one of the same time whose tree holds those of all its submodules, and theirs.

    Raises `GitError`; for a submodule whose address nobody says, too, as `git submodule update` does.
    """
    pending = list(_links(git, url, commit, ""))
    if not pending:
        return commit
    empty = git.folder / "empty"  # nothing is written there, but git wants it for changing an index
    empty.mkdir()
    index = {"GIT_INDEX_FILE": str(git.folder / "assembled"), "GIT_WORK_TREE": str(empty)}
    git("read-tree", commit, **index)
    for path, where, wanted in pending:  # grows on the way
        if len(pending) > MOST_SUBMODULES:
            raise GitError(f"it has more than {MOST_SUBMODULES} submodules")
        try:
            found = git.fetch(where, wanted)
        except GitError as error:
            raise GitError(f"submodule '{path}': {error}") from None
        git("update-index", "-z", "--index-info", input=f"0 {'0' * len(wanted)}\t{path}\0", **index)
        git("read-tree", f"--prefix={path}/", found, **index)
        pending += _links(git, where, found, f"{path}/")
    when = f"{git('show', '--no-patch', '--format=%ct', commit).strip()} +0000"
    who = {f"GIT_{role}_{what}": "shoal" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    return git("commit-tree", git("write-tree", **index).strip(), **who, **dates).strip()


def _links(git: Git, url: str, commit: str, prefix: str) -> Iterator[tuple[str, str, str]]:
    """(Path in the whole, address, commit) of each submodule of a commit."""
    listed = git.records("ls-tree", "-r", "-z", commit, most=MOST_FILES)
    links = list(islice((line for line in listed if line.startswith(_LINK)), MOST_SUBMODULES + 1))
    if not links:
        return
    addresses = _addresses(git, commit)
    for line in links:
        _, _, rest = line.split(maxsplit=2)
        wanted, _, path = rest.partition("\t")
        if path not in addresses:
            raise GitError(f"no url found for submodule path '{prefix}{path}' in .gitmodules")
        yield f"{prefix}{path}", resolved(url, addresses[path]), wanted


def _addresses(git: Git, commit: str) -> dict[str, str]:
    """The address of each submodule by its path."""
    try:
        said = git("config", "--blob", f"{commit}:.gitmodules", "-z", "--get-regexp", r"^submodule\..*\.(path|url)$")
    except GitError:
        return {}
    modules: dict[str, dict[str, str]] = {}
    for line in said.split("\0"):
        name, _, value = line.partition("\n")
        if name:
            module, _, key = name.rpartition(".")
            modules.setdefault(module, {})[key] = value
    return {each["path"]: each["url"] for each in modules.values() if "path" in each and "url" in each}


def resolved(parent: str, address: str) -> str:
    """A submodule's address, which may be told from its parent's on. Raises `GitError` for one that leads above it."""
    if not address.startswith(_RELATIVE):
        return address
    place = _PLACE.match(parent)
    path = posixpath.normpath(posixpath.join("/", place["path"].rstrip("/"), address)) if place else ""
    if place is None or path == "/":
        raise GitError(f"the address {address[:200]!r} of a submodule leads nowhere from {parent[:200]!r}")
    return f"{place['host']}{path.removeprefix('/') if place['host'].endswith(':') else path}"
