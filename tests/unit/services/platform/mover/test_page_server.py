"""criu's page protocol, as `criu lazy-pages` speaks it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from services.platform.mover.page_server import ADDED, AT_ONCE, CLOSE, GET, REQUEST, PageServer, Request
from services.platform.mover.store import PAGE, Store


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(10)
        yield ours, theirs


def answer(connection: socket.socket) -> tuple[int, int, int, bytes]:
    command, pages, address, process = REQUEST.unpack(connection.recv(REQUEST.size, socket.MSG_WAITALL))
    assert command == ADDED
    return pages, address, process, connection.recv(pages * PAGE, socket.MSG_WAITALL)


def test_pages_that_are_there_are_given_at_once(ends: tuple[socket.socket, socket.socket]) -> None:
    store, data = Store(), os.urandom(2 * PAGE)
    store.put(11, 0x7000, data)
    server = PageServer(ends[0], store)
    ends[1].sendall(REQUEST.pack(GET, 2, 0x7000, 11))
    assert server.receive() == []
    assert answer(ends[1]) == (2, 0x7000, 11, data)


def test_missing_ones_are_given_in_order_when_they_come(ends: tuple[socket.socket, socket.socket]) -> None:
    store, data = Store(), os.urandom(PAGE)
    store.put(1, 0x9000, data)
    server = PageServer(ends[0], store)
    ends[1].sendall(REQUEST.pack(GET, 100, 0x10000, 1) + REQUEST.pack(GET, 1, 0x9000, 1))
    assert server.receive() == [Request(1, 0x10000, AT_ONCE), Request(1, 0x9000, PAGE)]
    first = os.urandom(PAGE)
    store.put(1, 0x10000, first)
    server.answer()
    assert answer(ends[1]) == (1, 0x10000, 1, first)
    assert answer(ends[1]) == (1, 0x9000, 1, data)


def test_a_request_in_two_parts_is_one(ends: tuple[socket.socket, socket.socket]) -> None:
    store = Store()
    store.put(1, 0, bytes(PAGE))
    server, asked = PageServer(ends[0], store), REQUEST.pack(GET, 1, 0, 1)
    ends[1].sendall(asked[:10])
    assert server.receive() == []
    ends[1].sendall(asked[10:])
    server.receive()
    assert answer(ends[1])[0] == 1


def test_the_end_is_confirmed(ends: tuple[socket.socket, socket.socket]) -> None:
    ends[1].sendall(REQUEST.pack(CLOSE, 0, 0, 0))
    PageServer(ends[0], Store()).receive()
    assert ends[1].recv(16) == bytes(4)


def test_other_commands_are_refused(ends: tuple[socket.socket, socket.socket]) -> None:
    ends[1].sendall(REQUEST.pack(99, 0, 0, 0))
    with pytest.raises(ValueError, match="not known: 0x63"):
        PageServer(ends[0], Store()).receive()
