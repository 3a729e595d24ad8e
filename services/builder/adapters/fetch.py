"""What is fetched by URL or from git goes into a spool."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from shared.errors import InvalidArgument
from shared.fetch import Coming, coming_from, fetching

from ..domain.git import Repository
from .spool import Spools

CLONE_SECONDS = 600
_GIT = "services.builder.adapters.git_helper"


@dataclass(frozen=True)
class Fetched:
    """The bytes are in spool number `spool`; `modified` in seconds since the epoch, 0: unknown."""

    spool: int
    name: str
    modified: int


async def fetch(url: str, spools: Spools, most: int) -> Fetched:
    """Fetches at most `most` bytes; raises `InvalidArgument` saying why not."""
    async with fetching(url) as coming:
        return Fetched(await _spooled(coming, url, spools, most), coming.name, coming.modified)


async def clone(repository: Repository, spools: Spools, most: int) -> int:
    """The spool with the tree as a tar, of at most `most` bytes; raises `InvalidArgument` saying why not."""
    arguments = (repository.url, repository.reference, repository.folder, str(most))
    async with spools.folder() as folder:
        try:
            async with asyncio.timeout(CLONE_SECONDS):
                async with coming_from(_GIT, arguments, repository.url, folder) as coming:
                    return await _spooled(coming, repository.url, spools, most)
        except TimeoutError:
            raise InvalidArgument(
                f"unable to 'git clone' {repository.url}: it takes longer than {CLONE_SECONDS} seconds"
            ) from None


async def _spooled(coming: Coming, url: str, spools: Spools, most: int) -> int:
    spool = spools.new()
    async for data in coming.chunks:
        if spools.size(spool) + len(data) > most:
            raise InvalidArgument(f"{url} is larger than {most} bytes (max_unpack_bytes)")
        spools.append(spool, data)
    return spool
