"""Fetching by URL, in a process of its own: what an HTTP client takes of memory is gone with it."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from shared import telemetry
from shared.errors import InvalidArgument

from .spool import Spools

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
    room = Path(__file__).resolve().parents[3]
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    with telemetry.span("fetch", url=url):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "services.builder.adapters.fetch_helper", url,
            stdin=DEVNULL, stdout=PIPE, cwd="/", env={**env, "PYTHONPATH": str(room)}, limit=LONGEST_LINE,
        )  # fmt: skip
        try:
            return await _receive(process, url, spools, most)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
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
