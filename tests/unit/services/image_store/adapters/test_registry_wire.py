from __future__ import annotations

import os
import socket

import msgspec
import pytest

from services.image_store.adapters.registry_wire import (
    Command,
    Said,
    Trust,
    receive_command,
    receive_said,
    send_command,
)
from shared.contracts.image_store import Credentials


@pytest.fixture
def pair() -> tuple[socket.socket, socket.socket]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    one.setblocking(False)
    return one, other


def test_a_command_of_any_size_comes_with_its_file(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    command = Command(
        id=7,
        do="download",
        url="https://r/v2/",
        login=Credentials(username="u"),
        trust=Trust(authorities=("x" * 1_000_000,)),
    )
    file = os.memfd_create("file")
    os.write(file, b"content")
    send_command(one, command, file)
    received = receive_command(other)
    assert received is not None
    assert received[0] == command
    assert os.pread(received[1], 100, 0) == b"content"
    assert received[1] != file
    one.close()
    assert receive_command(other) is None


def test_what_comes_back(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    said = Said(id=7, kind="answer", status=404, text=b"\x00\xff", headers={"location": "x"})
    other.send(msgspec.json.encode(said))
    assert receive_said(one) == said
    with pytest.raises(BlockingIOError):
        receive_said(one)
    other.close()
    assert receive_said(one) is None
