from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import cast

import pytest

from gateway.http.listen import Listener
from shared.errors import FailedPrecondition, InvalidArgument
from shared.listening import answers, bind, group_id


class Greeter(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        writing = cast("asyncio.Transport", transport)
        writing.write(b"hello")
        transport.close()


async def greeting(path: Path) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    data = await reader.read()
    writer.close()
    return data


async def test_the_socket_has_its_mode_and_is_gone_after_closing(tmp_path: Path) -> None:
    path = tmp_path / "run" / "docker.sock"
    listener = Listener.unix(path, "root")
    await listener.open(Greeter)
    assert os.stat(path).st_mode & 0o777 == 0o660
    assert await greeting(path) == b"hello"
    listener.close()
    assert not path.exists()


async def test_a_socket_that_nobody_serves_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert not answers(path)
    listener = Listener.unix(path, "root")
    await listener.open(Greeter)
    assert await greeting(path) == b"hello"
    listener.close()


async def test_a_served_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    first = Listener.unix(path, "root")
    await first.open(Greeter)
    with pytest.raises(FailedPrecondition, match="served by another process"):
        bind(path, "root")
    assert await greeting(path) == b"hello"
    first.close()


async def test_closing_leaves_the_socket_of_a_successor(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    first = Listener.unix(path, "root")
    await first.open(Greeter)
    os.rename(path, tmp_path / "old")
    second = Listener.unix(path, "root")
    await second.open(Greeter)
    first.close()
    assert await greeting(path) == b"hello"
    second.close()


async def test_tcp_takes_a_free_port() -> None:
    listener = Listener.parse("tcp://127.0.0.1:0", "root")
    await listener.open(Greeter)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    assert await reader.read() == b"hello"
    writer.close()
    listener.close()


async def test_a_taken_port_is_told() -> None:
    first = Listener.parse("tcp://127.0.0.1:0", "root")
    await first.open(Greeter)
    with pytest.raises(FailedPrecondition, match=f"tcp://127.0.0.1:{first.port}"):
        await Listener.parse(f"tcp://127.0.0.1:{first.port}", "root").open(Greeter)
    first.close()


@pytest.mark.parametrize("address", ["http://x", "tcp://x", "unix:", "tcp://x:y", "", "/run/docker.sock"])
def test_other_addresses_are_refused_with_the_address(address: str) -> None:
    with pytest.raises(InvalidArgument, match="neither unix"):
        Listener.parse(address, "root")


def test_an_unknown_group_is_roots() -> None:
    assert group_id("no-such-group-here") == 0
