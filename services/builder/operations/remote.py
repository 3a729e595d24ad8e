"""Contexts that the client only names: an archive or a Dockerfile at a URL, a git repository."""

from __future__ import annotations

import asyncio
import re

from shared.dockerfile.parser import LONGEST_FILE
from shared.errors import InvalidArgument

from ..adapters import archive_index
from ..adapters.fetch import clone, fetch
from ..domain import git
from ..domain.tree import Source
from .context import Context, parsed_of, with_dockerfile
from .engine import Build

_URL = re.compile(r"https?://", re.IGNORECASE)


async def source(build: Build) -> Context:
    """The context that `remote` names; raises `InvalidArgument`."""
    remote = build.request.remote
    if git.is_repository(remote):
        return await _cloned(build, git.parse(remote))
    if _URL.match(remote):
        return await _fetched(build, remote)
    raise InvalidArgument(f"remoteURL ({remote}) could not be recognized as URL")


async def _cloned(build: Build, repository: git.Repository) -> Context:
    number = await clone(repository, build.spools, build.limits[0])
    tree = await asyncio.to_thread(archive_index.index, build.spools, number, build.limits)
    return with_dockerfile(build.spools, tree, build.request.dockerfile)


async def _fetched(build: Build, url: str) -> Context:
    """An archive, or else a Dockerfile without a context."""
    fetched = await fetch(url, build.spools, build.limits[0])
    size = build.spools.size(fetched.spool)
    whole = Source(fetched.spool, 0, size, b"")
    if await asyncio.to_thread(archive_index.is_archive, build.spools, whole):
        tree = await asyncio.to_thread(archive_index.index, build.spools, fetched.spool, build.limits)
        return with_dockerfile(build.spools, tree, build.request.dockerfile)
    if size > LONGEST_FILE:
        raise InvalidArgument(f"{url} is neither an archive nor a Dockerfile")
    return Context(parsed_of(build.spools.read(fetched.spool, 0, size), url), None)
