from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.platform.adapters import extraction as module
from services.platform.adapters.extraction import Extraction
from shared.errors import InvalidArgument
from shared.streams.channel import LocalChannel
from tests.support.waiting import until
from tools.images import entry, tar


@pytest.fixture
def options(tmp_path: Path) -> Iterator[dict[str, Any]]:
    root, top = os.open(tmp_path, os.O_PATH), os.open(tmp_path, os.O_RDONLY)
    namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    yield {
        "namespace": namespace, "root": root, "top": top, "destination": "/", "keeps_kinds": False, "owner": None,
        "limits": (1 << 30, 100, 100),
    }  # fmt: skip
    for each in (namespace, root, top):
        os.close(each)


@pytest.fixture
async def extraction() -> AsyncIterator[Extraction]:
    made = Extraction()
    yield made
    made.close()
    await until(lambda: not _children())


class Remote:
    """A channel across hosts: no socket."""

    sock = None

    def __init__(self, data: bytes) -> None:
        self._parts = [data[start : start + 1000] for start in range(0, len(data), 1000)]

    async def read(self) -> bytes:
        return self._parts.pop(0) if self._parts else b""


async def test_straight_from_a_socket(extraction: Extraction, options: dict[str, Any], tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    channel = LocalChannel(ours)
    running = asyncio.get_running_loop().create_task(extraction.extract(channel, options))
    data = tar([entry("f", os.urandom(3 << 20))])
    await asyncio.to_thread(theirs.sendall, data)
    theirs.shutdown(socket.SHUT_WR)
    await running
    assert (tmp_path / "f").stat().st_size == 3 << 20
    await channel.write(b"answer")
    assert theirs.recv(100) == b"answer"
    channel.close()
    theirs.close()


async def test_across_hosts(extraction: Extraction, options: dict[str, Any], tmp_path: Path) -> None:
    await extraction.extract(Remote(tar([entry("f", b"x" * 5000)])), options)  # type: ignore[arg-type]
    assert (tmp_path / "f").stat().st_size == 5000
    with pytest.raises(InvalidArgument, match="invalid tar header"):
        await extraction.extract(Remote(b"garbage" * 1000), options)  # type: ignore[arg-type]


async def test_broken_off_it_leaves_no_process(extraction: Extraction, options: dict[str, Any]) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    channel = LocalChannel(ours)
    running = asyncio.get_running_loop().create_task(extraction.extract(channel, options))
    await asyncio.to_thread(theirs.sendall, tar([entry("f", bytes(1 << 20))])[: 1 << 19])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await asyncio.to_thread(lambda: [_children(int(parent)) for parent in _children()]) in ([], [[]])
    channel.close()
    theirs.close()


async def test_one_process_starts_several_helpers_and_ends_when_idle(
    extraction: Extraction, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remotes = [Remote(tar([entry(f"f{number}", b"x" * 5000)])) for number in range(4)]
    await asyncio.gather(*(extraction.extract(remote, options) for remote in remotes))  # type: ignore[arg-type]
    assert {path.name for path in tmp_path.iterdir()} == {"f0", "f1", "f2", "f3"}
    assert len(_children()) == 1
    monkeypatch.setattr(module, "IDLE", 0.0)
    await extraction.extract(Remote(tar([entry("g", b"x")])), options)  # type: ignore[arg-type]
    await until(lambda: not _children())


async def test_a_killed_process_is_replaced(extraction: Extraction, options: dict[str, Any], tmp_path: Path) -> None:
    await extraction.extract(Remote(tar([entry("f", b"x")])), options)  # type: ignore[arg-type]
    (parent,) = _children()
    os.kill(int(parent), signal.SIGKILL)
    await extraction.extract(Remote(tar([entry("g", b"x")])), options)  # type: ignore[arg-type]
    assert {path.name for path in tmp_path.iterdir()} == {"f", "g"}


def _children(of: int = 0) -> list[str]:
    """Helpers, and what they are forked from, among the children of a process, by default of this one."""
    found = []
    for child in Path(f"/proc/{of or 'self'}/task/{of or os.getpid()}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_bytes()
        if b"extract_helper" in command:
            found.append(child)
    return found
