from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.platform.adapters.extraction import extract
from shared.errors import InvalidArgument
from shared.streams.channel import LocalChannel
from tools.images import entry, tar


@pytest.fixture
def options(tmp_path: Path) -> Iterator[dict[str, Any]]:
    root, top = os.open(tmp_path, os.O_PATH), os.open(tmp_path, os.O_RDONLY)
    yield {
        "root": root, "top": top, "destination": "/", "keeps_kinds": False, "owner": None,
        "limits": (1 << 30, 100, 100),
    }  # fmt: skip
    os.close(root)
    os.close(top)


class Remote:
    """A channel across hosts: no socket."""

    sock = None

    def __init__(self, data: bytes) -> None:
        self._parts = [data[start : start + 1000] for start in range(0, len(data), 1000)]

    async def read(self) -> bytes:
        return self._parts.pop(0) if self._parts else b""


async def test_straight_from_a_socket(options: dict[str, Any], tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    channel = LocalChannel(ours)
    running = asyncio.get_running_loop().create_task(extract(channel, options))
    data = tar([entry("f", os.urandom(3 << 20))])
    await asyncio.to_thread(theirs.sendall, data)
    theirs.shutdown(socket.SHUT_WR)
    await running
    assert (tmp_path / "f").stat().st_size == 3 << 20
    await channel.write(b"answer")
    assert theirs.recv(100) == b"answer"
    channel.close()
    theirs.close()


async def test_across_hosts(options: dict[str, Any], tmp_path: Path) -> None:
    await extract(Remote(tar([entry("f", b"x" * 5000)])), options)  # type: ignore[arg-type]
    assert (tmp_path / "f").stat().st_size == 5000
    with pytest.raises(InvalidArgument, match="invalid tar header"):
        await extract(Remote(b"garbage" * 1000), options)  # type: ignore[arg-type]


async def test_broken_off_it_leaves_no_process(options: dict[str, Any]) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    channel = LocalChannel(ours)
    running = asyncio.get_running_loop().create_task(extract(channel, options))
    await asyncio.to_thread(theirs.sendall, tar([entry("f", bytes(1 << 20))])[: 1 << 19])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not await asyncio.to_thread(_children)
    channel.close()
    theirs.close()


def _children() -> list[str]:
    """Helpers among the children of this process."""
    found = []
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_bytes()
        if b"extract_helper" in command:
            found.append(child)
    return found
