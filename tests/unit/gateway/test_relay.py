from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import pytest

from gateway.http.detach import Scanner
from gateway.http.outlet import Stream
from gateway.relay import Convert, End, framed, relay, send_out, unframed
from shared.streams import frame
from shared.streams.channel import LocalChannel, ServedChannel


class Caller:
    """A client's end of a socket pair, with the gateway's end as a hijacked connection would be."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()

    async def read(self) -> bytes:
        return await self._loop.sock_recv(self._sock, 65536)

    async def write(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._sock, data)

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()


def pair() -> tuple[socket.socket, socket.socket]:
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    return ends


@dataclass
class Wires:
    client: socket.socket
    caller: Caller
    service: socket.socket
    channel: LocalChannel

    async def recv(self, end: socket.socket) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(end, 65536), 60)


@pytest.fixture
async def wires() -> AsyncIterator[Wires]:
    (client, near), (service, far) = pair(), pair()
    yield Wires(client, Caller(near), service, LocalChannel(far))
    client.close()
    service.close()


def start(wires: Wires, stdin: bool = True, scanner: Scanner | None = None, convert: Convert | None = None) -> (
    asyncio.Task[End]
):  # fmt: skip
    return asyncio.get_running_loop().create_task(relay(wires.caller, wires.channel, stdin, scanner, convert))


async def test_bytes_go_both_ways_and_a_half_close_is_passed_on(wires: Wires) -> None:
    running = start(wires)
    wires.client.send(b"in")
    assert await wires.recv(wires.service) == b"in"
    wires.client.shutdown(socket.SHUT_WR)
    assert await wires.recv(wires.service) == b""
    wires.service.send(b"after your end")
    assert await wires.recv(wires.client) == b"after your end"
    wires.service.close()
    assert await running == "ended"
    assert await wires.recv(wires.client) == b""


async def test_input_that_nobody_wants_is_dropped(wires: Wires) -> None:
    running = start(wires, stdin=False)
    wires.client.send(b"in")
    wires.client.shutdown(socket.SHUT_WR)
    wires.service.send(b"out")
    assert await wires.recv(wires.client) == b"out"
    wires.service.shutdown(socket.SHUT_WR)
    await running
    assert await wires.recv(wires.service) == b""


async def test_a_client_that_closes_both_ways_ends_the_relay(wires: Wires) -> None:
    running = start(wires)
    wires.client.close()
    assert await asyncio.wait_for(running, 60) == "gone"
    assert await wires.recv(wires.service) == b""


async def test_detach_keys_end_the_relay(wires: Wires) -> None:
    running = start(wires, scanner=Scanner(b"\x10\x11"))
    wires.client.send(b"ab\x10\x11cd")
    assert await wires.recv(wires.service) == b"ab"
    assert await asyncio.wait_for(running, 60) == "keys"
    assert await wires.recv(wires.client) == b""


def test_of_frames_only_the_wanted_are_given() -> None:
    both, output = unframed(), unframed(1)
    data = frame(1, b"out") + frame(2, b"err")
    assert [both(data[:9]), both(data[9:])] == [b"", b"outerr"]
    assert output(data) == b"out"
    assert framed(b"text") == frame(1, b"text")


async def test_frames_are_taken_off(wires: Wires) -> None:
    running = start(wires, convert=unframed())
    wires.service.send(frame(1, b"out") + frame(2, b"err"))
    assert await wires.recv(wires.client) == b"outerr"
    wires.service.close()
    await running


async def test_a_program_that_does_not_read_still_speaks(wires: Wires) -> None:
    running = start(wires)
    wires.service.shutdown(socket.SHUT_RD)
    wires.client.send(b"nobody reads this")
    wires.service.send(b"still here")
    assert await wires.recv(wires.client) == b"still here"
    wires.service.close()
    await running


class Answer:
    """A streamed answer's connection."""

    def __init__(self) -> None:
        self.sent = b""
        self.closed = False

    def send(self, parts: tuple[bytes, ...]) -> None:
        self.sent += b"".join(parts)

    async def drain(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("whole", [True, False])
async def test_an_answer_ends_as_its_service_does(whole: bool) -> None:
    near, far = pair()
    near.send(b"t")
    service = ServedChannel(far)
    await service.write(b"log")
    if whole:
        service.close()
    service.break_off()
    answer = Answer()
    stream = Stream(cast("Any", answer), chunked=True, silent=False)
    await send_out(LocalChannel(near), stream)
    stream.end()
    assert answer.sent == b"3\r\nlog\r\n" + (b"0\r\n\r\n" if whole else b"")
    assert answer.closed is not whole
