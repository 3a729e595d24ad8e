"""Two movers' connection, on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.platform.mover import link
from services.platform.mover.link import Link
from shared import pki
from shared.clock import now_ns
from tests.support.certified import certify

TICKET = "t" * 32


class Listening:
    """A target's end that takes one connection."""

    def __init__(self, folder: Path) -> None:
        authority = pki.authority("c1", now_ns())
        for node in ("a", "b"):
            certify(folder / node, f"node-{node}", authority)
        self._folder = folder
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.taken: list[Link | None] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        self.taken.append(link.accept(self._socket, TICKET, self._folder / "b"))

    def connect(self, ticket: str = TICKET, node: str = "node-b", files: Path | None = None) -> Link:
        return link.connect(self.address, ticket, files or self._folder / "a", node)

    def ended(self) -> Link | None:
        self._thread.join(30)
        return self.taken[0]

    def close(self) -> None:
        self._socket.close()
        self._thread.join(30)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    made = Listening(tmp_path)
    yield made
    made.close()


def test_frames_arrive_whole(listening: Listening) -> None:
    source = listening.connect()
    target = listening.ended()
    assert target is not None
    data = bytes(range(256)) * 400
    sending = threading.Thread(target=source.send, args=(link.PAGES, data, 7, 0x7FFF00001000))
    sending.start()
    assert target.receive() == link.Frame(link.PAGES, 7, 0x7FFF00001000, data)
    sending.join()
    assert source.sent == len(data)
    target.send(link.RECEIVED)
    assert source.receive().kind == link.RECEIVED
    assert not source.decrypted
    source.close()
    with pytest.raises(ConnectionResetError):
        target.receive()
    target.close()


def test_a_frame_too_long_is_refused(listening: Listening) -> None:
    source = listening.connect()
    target = listening.ended()
    assert target is not None
    source._connection.sendall(link.HEADER.pack(link.PAGES, 0, 0, link.LONGEST + 1))
    with pytest.raises(ConnectionAbortedError):
        target.receive()
    source.close()
    target.close()


def test_a_wrong_ticket_is_not_taken(listening: Listening) -> None:
    source = listening.connect(ticket="x" * 32)
    assert listening.ended() is None
    with pytest.raises(ConnectionError):
        source.receive()
    source.close()


def test_another_host_is_not_trusted(listening: Listening) -> None:
    with pytest.raises(ConnectionRefusedError, match=r"node node-b is at .*, not node-c"):
        listening.connect(node="node-c")
    assert listening.ended() is None


def test_a_stranger_is_not_taken(listening: Listening, tmp_path: Path) -> None:
    certify(tmp_path / "stranger", "node-a")
    with pytest.raises(OSError, match="certificate"):
        listening.connect(files=tmp_path / "stranger")
    assert listening.ended() is None
