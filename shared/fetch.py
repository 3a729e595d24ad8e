"""Fetching by URL, in a process of its own: what an HTTP client takes of memory is gone with it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from . import telemetry
from .errors import InvalidArgument

LONGEST_LINE = 1 << 16
_PASSED_ON = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE",
              "SSL_CERT_DIR")  # fmt: skip


@dataclass(frozen=True)
class Coming:
    """What a URL leads to. `modified` in seconds since the epoch, `size` in bytes; 0: unknown.

    `chunks` raise `InvalidArgument` when less comes than was announced.
    """

    name: str
    modified: int
    size: int
    chunks: AsyncIterator[bytes]


def fetching(url: str) -> AbstractAsyncContextManager[Coming]:
    """Fetches by HTTP or HTTPS inside the block; raises `InvalidArgument` saying why not."""
    return coming_from("shared.fetch_helper", (url,), url, Path("/"))


def without_credentials(url: str) -> str:
    """The address as traces may keep it."""
    return re.sub(r"//[^/]*@", "//", url, count=1)


@asynccontextmanager
async def coming_from(helper: str, arguments: tuple[str, ...], url: str, folder: Path) -> AsyncIterator[Coming]:
    """What a helper says that comes: a module whose output is a line of JSON, then the bytes. It works in `folder`."""
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    with telemetry.span("fetch", url=without_credentials(url)):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", helper, *arguments, stdin=DEVNULL, stdout=PIPE, cwd=folder,
            start_new_session=True, env={**env, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
            limit=LONGEST_LINE,
        )  # fmt: skip
        try:
            yield await _begun(process, url)
        finally:
            if process.returncode is None:  # else its number may be somebody else's by now
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _begun(process: Process, url: str) -> Coming:
    assert process.stdout is not None
    line = await process.stdout.readline()
    said = msgspec.json.decode(line) if line else {"error": f"Get {url}: the fetching process ended"}
    if "error" in said:
        raise InvalidArgument(str(said["error"]))
    return Coming(str(said["name"]), int(said["modified"]), int(said.get("size", 0)), _chunks(process, url))


async def _chunks(process: Process, url: str) -> AsyncIterator[bytes]:
    assert process.stdout is not None
    while data := await process.stdout.read(LONGEST_LINE):
        yield data
    if await process.wait() != 0:
        raise InvalidArgument(f"Get {url}: the connection was broken off")
