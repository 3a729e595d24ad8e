"""Fetching by URL or from git, in a process of its own: what that takes of memory and rights is gone with it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from shared import telemetry
from shared.errors import InvalidArgument

from ..domain.git import Repository
from .spool import Spools

CLONE_SECONDS = 600
LONGEST_LINE = 1 << 16
_PASSED_ON = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE",
              "SSL_CERT_DIR")  # fmt: skip


@dataclass(frozen=True)
class Fetched:
    """The bytes are in spool number `spool`; `modified` in seconds since the epoch, 0: unknown."""

    spool: int
    name: str
    modified: int


async def fetch(url: str, spools: Spools, most: int) -> Fetched:
    """Fetches at most `most` bytes; raises `InvalidArgument` saying why not."""
    return await _fetched("fetch_helper", (url,), Path("/"), url, spools, most)


async def clone(repository: Repository, spools: Spools, most: int) -> int:
    """The spool with the tree as a tar, of at most `most` bytes; raises `InvalidArgument` saying why not."""
    arguments = (repository.url, repository.reference, repository.folder, str(most))
    with spools.folder() as folder:
        try:
            async with asyncio.timeout(CLONE_SECONDS):
                return (await _fetched("git_helper", arguments, folder, repository.url, spools, most)).spool
        except TimeoutError:
            raise InvalidArgument(
                f"unable to 'git clone' {repository.url}: it takes longer than {CLONE_SECONDS} seconds"
            ) from None


async def _fetched(
    helper: str, arguments: tuple[str, ...], folder: Path, url: str, spools: Spools, most: int
) -> Fetched:
    room = Path(__file__).resolve().parents[3]
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    with telemetry.span("fetch", url=url):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", f"services.builder.adapters.{helper}", *arguments, start_new_session=True,
            stdin=DEVNULL, stdout=PIPE, cwd=folder, env={**env, "PYTHONPATH": str(room)}, limit=LONGEST_LINE,
        )  # fmt: skip
        try:
            return await _receive(process, url, spools, most)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _receive(process: asyncio.subprocess.Process, url: str, spools: Spools, most: int) -> Fetched:
    assert process.stdout is not None
    line = await process.stdout.readline()
    said = msgspec.json.decode(line) if line else {"error": f"Get {url}: the fetching process ended"}
    if "error" in said:
        raise InvalidArgument(str(said["error"]))
    spool = spools.new()
    while data := await process.stdout.read(LONGEST_LINE):
        if spools.size(spool) + len(data) > most:
            raise InvalidArgument(f"{url} is larger than {most} bytes (max_unpack_bytes)")
        spools.append(spool, data)
    if await process.wait() != 0:
        raise InvalidArgument(f"Get {url}: the connection was broken off")
    return Fetched(spool, str(said["name"]), int(said["modified"]))
