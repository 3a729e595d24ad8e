"""An exec's streams between its pipes and a client."""

from __future__ import annotations

import asyncio
import os
import pty
import socket

import pytest

from services.platform.adapters import pipes
from services.platform.adapters.pipes import Pipes
from shared.streams.channel import LocalChannel
from shared.streams.frames import frame

Ends = tuple[Pipes, "asyncio.Future[None]", int, int, int]


class World:
    """A client's channel and the program's ends of its pipes."""

    def __init__(self) -> None:
        out, self.out = os.pipe()
        err, self.err = os.pipe()
        self.input, into = os.pipe()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.pipes = Pipes([out, err, into], False, self.ended)
        ours, self.client = socket.socketpair()
        for each in (ours, self.client):
            each.setblocking(False)
        self.channel = LocalChannel(ours)

    async def received(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.client, 1 << 20)


async def test_output_is_framed_until_both_streams_end() -> None:
    world = World()
    serving = asyncio.ensure_future(world.pipes.serve(world.channel, stdin=False))
    os.write(world.out, b"one")
    assert await world.received() == frame(1, b"one")
    os.write(world.err, b"two")
    assert await world.received() == frame(2, b"two")
    os.close(world.out)
    os.close(world.err)
    await serving
    assert os.read(world.input, 1) == b""  # nobody writes, so it has ended
    os.close(world.input)


async def test_input_ends_by_half_close() -> None:
    world = World()
    serving = asyncio.ensure_future(world.pipes.serve(world.channel, stdin=True))
    os.set_blocking(world.input, False)
    await asyncio.get_running_loop().sock_sendall(world.client, b"x" * 300_000)
    world.client.shutdown(socket.SHUT_WR)
    got = 0
    while True:
        try:
            data = os.read(world.input, 1 << 20)
        except BlockingIOError:
            await asyncio.sleep(0)
            continue
        if not data:
            break
        got += len(data)
    assert got == 300_000
    os.close(world.out)
    os.close(world.err)
    await serving


async def test_a_program_that_closed_its_input_still_speaks() -> None:
    world = World()
    serving = asyncio.ensure_future(world.pipes.serve(world.channel, stdin=True))
    os.close(world.input)
    await asyncio.get_running_loop().sock_sendall(world.client, b"nobody reads this")
    os.write(world.out, b"still here")
    assert await world.received() == frame(1, b"still here")
    os.close(world.out)
    os.close(world.err)
    await serving


async def test_output_that_others_hold_open_is_awaited_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "GRACE_SECONDS", 0.05)
    world = World()
    serving = asyncio.ensure_future(world.pipes.serve(world.channel, stdin=False))
    world.ended.set_result(None)
    os.write(world.out, b"late")
    assert await world.received() == frame(1, b"late")
    await serving  # although the writers are open


async def test_the_end_of_the_program_cuts_nothing_off() -> None:
    world = World()
    os.write(world.out, b"x" * 60_000)
    world.ended.set_result(None)
    os.close(world.out)
    os.close(world.err)
    serving = asyncio.ensure_future(world.pipes.serve(world.channel, stdin=False))
    got = b""
    while len(got) < 60_008:
        got += await world.received()
    await serving
    assert got == frame(1, b"x" * 60_000)


async def test_a_client_that_goes_does_not_hold_the_program_up() -> None:
    world = World()
    serving = asyncio.ensure_future(world.pipes.serve(world.channel, stdin=True))
    world.client.close()
    os.write(world.out, b"y" * 100)
    with pytest.raises(ConnectionError):
        await serving
    os.set_blocking(world.out, False)
    written = 0
    while written < 1 << 20:
        try:
            written += os.write(world.out, bytes(1 << 16))
        except BlockingIOError:
            await asyncio.sleep(0)
    assert os.read(world.input, 1) == b""
    os.close(world.out)
    os.close(world.err)


async def test_a_terminal_is_not_framed_and_has_a_size() -> None:
    master, slave = pty.openpty()
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    terminal = Pipes([master], True, ended)
    ours, client = socket.socketpair()
    ours.setblocking(False)
    client.setblocking(False)
    serving = asyncio.ensure_future(terminal.serve(LocalChannel(ours), stdin=True))
    terminal.resize(11, 22)
    assert os.get_terminal_size(slave) == (22, 11)
    os.write(slave, b"hi\n")
    loop = asyncio.get_running_loop()
    assert await loop.sock_recv(client, 100) == b"hi\r\n"
    await loop.sock_sendall(client, b"word\n")
    client.shutdown(socket.SHUT_WR)
    os.set_blocking(slave, True)
    assert await loop.run_in_executor(None, os.read, slave, 100) == b"word\n"
    os.close(slave)  # the master then fails to be read
    await serving
    terminal.resize(1, 1)
