"""From the monitor's packets to frames, and back."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.platform.adapters import attach
from tests.support.platform_host import frames


class Sink:
    """Collects what a channel would send; may say that nobody is there."""

    def __init__(self, incoming: tuple[bytes, ...] = ()) -> None:
        self.sock: socket.socket | None = None
        self.written: list[bytes] = []
        self._incoming = list(incoming)

    async def read(self, limit: int = 0) -> bytes:
        return self._incoming.pop(0) if self._incoming else b""

    async def write(self, data: bytes) -> None:
        self.written.append(bytes(data))

    async def write_frame(self, stream: int, payload: bytes) -> None:
        raise NotImplementedError

    async def write_eof(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


@pytest.fixture
async def pair() -> AsyncIterator[tuple[socket.socket, socket.socket]]:
    """The monitor's end, blocking, and ours."""
    monitor, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    yield monitor, ours
    monitor.close()
    ours.close()


async def run(ours: socket.socket, **fields: bool) -> bytes:
    sink = Sink()
    await attach.Output(ours, **({"framed": True} | fields)).run(sink)
    return b"".join(sink.written)


async def test_packets_become_frames(pair: tuple[socket.socket, socket.socket]) -> None:
    monitor, ours = pair
    sent = [(1, b"one"), (2, b"x" * 8192), (1, b"\0\1\2")]
    for kind, text in sent:
        monitor.send(bytes([kind + 1]) + text)
    monitor.close()
    assert frames(await run(ours)) == sent


async def test_many_packets_go_out_together(pair: tuple[socket.socket, socket.socket]) -> None:
    monitor, ours = pair
    for _ in range(10):
        monitor.send(b"\2abc")
    monitor.close()
    sink = Sink()
    await attach.Output(ours, framed=True).run(sink)
    assert len(sink.written) == 1


async def test_raw_output_is_joined_without_gaps(pair: tuple[socket.socket, socket.socket]) -> None:
    monitor, ours = pair
    for text in (b"a", b"bc", b"def" * 1000):
        monitor.send(b"\2" + text)
    monitor.close()
    assert await run(ours, framed=False) == b"abc" + b"def" * 1000


async def test_an_unwanted_stream_is_left_out(pair: tuple[socket.socket, socket.socket]) -> None:
    monitor, ours = pair
    for packet in (b"\3err", b"\2out", b"\3err", b"\7odd"):
        monitor.send(packet)
    monitor.close()
    assert frames(await run(ours, stderr=False)) == [(1, b"out")]


async def test_more_than_a_batch_arrives_in_order(pair: tuple[socket.socket, socket.socket]) -> None:
    monitor, ours = pair
    texts = [bytes([n % 256]) * 8192 for n in range(300)]

    def send() -> None:
        for text in texts:
            monitor.send(b"\2" + text)
        monitor.close()

    sending = asyncio.get_running_loop().run_in_executor(None, send)
    assert [text for _, text in frames(await run(ours))] == texts
    await sending


async def test_output_is_not_lost_behind_a_reset(pair: tuple[socket.socket, socket.socket]) -> None:
    monitor, ours = pair
    ours.send(b"input that nobody read")
    monitor.send(b"\2last words")
    monitor.close()
    assert frames(await run(ours)) == [(1, b"last words")]


async def test_input_is_cut_to_what_a_monitor_takes(pair: tuple[socket.socket, socket.socket]) -> None:
    monitor, ours = pair
    await attach.feed(Sink((b"x" * 40_000, b"y")), ours)
    received = []
    while packet := monitor.recv(1 << 20):
        received.append(packet)
    assert [len(packet) for packet in received] == [32768, 7232, 1]


async def test_a_socket_deep_in_the_tree_is_reached(directory: Path) -> None:
    folder = directory / ("deep" * 25) / ("er" * 50)
    folder.mkdir(parents=True)
    with pytest.raises(FileNotFoundError):
        attach.connect_now(folder)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here = os.open(folder, os.O_PATH)
    listener.bind(f"/proc/self/fd/{here}/attach")
    os.close(here)
    listener.listen()
    connection = attach.connect_now(folder)
    assert not connection.getblocking()
    connection.close()
    listener.close()
