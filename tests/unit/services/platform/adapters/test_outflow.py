from __future__ import annotations

import asyncio
import socket

import pytest

from services.platform.adapters.outflow import Outflow
from shared.streams.channel import LocalChannel


class Remote:
    """A channel across hosts: no socket."""

    sock = None

    def __init__(self) -> None:
        self.taken = b""

    async def write(self, data: bytes) -> None:
        self.taken += data


async def test_a_thread_waits_for_a_slow_reader() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    outflow = Outflow(LocalChannel(ours))
    data = bytes(range(256)) * (1 << 14)
    sending = asyncio.get_running_loop().run_in_executor(None, outflow.write, data)
    got = b""
    while len(got) < len(data):
        got += await asyncio.to_thread(theirs.recv, 1 << 16)
    await sending
    assert got == data
    outflow.close()
    theirs.close()
    ours.close()


async def test_a_reader_that_goes_is_told() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    channel = LocalChannel(ours)
    outflow = Outflow(channel)
    sending = asyncio.get_running_loop().run_in_executor(None, outflow.write, bytes(1 << 24))
    await asyncio.to_thread(theirs.recv, 100)
    theirs.close()
    with pytest.raises(ConnectionError):
        await sending
    outflow.close()
    channel.close()


async def test_a_closed_channel_ends_a_thread_that_waits() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    channel = LocalChannel(ours)
    outflow = Outflow(channel)
    sending = asyncio.get_running_loop().run_in_executor(None, outflow.write, bytes(1 << 24))
    await asyncio.to_thread(theirs.recv, 100)
    channel.close()
    with pytest.raises(ConnectionError):
        await sending
    outflow.close()
    theirs.close()


async def test_across_hosts_the_loop_sends() -> None:
    remote = Remote()
    outflow = Outflow(remote)  # type: ignore[arg-type]
    await asyncio.to_thread(outflow.write, b"data")
    outflow.close()
    assert remote.taken == b"data"
