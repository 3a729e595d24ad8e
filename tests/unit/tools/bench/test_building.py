from __future__ import annotations

import io
import socket
import tarfile
from pathlib import Path
from threading import Thread

import pytest

from tools.bench.building import context, send


def answering(path: Path, text: bytes) -> Thread:
    """A server that answers one request so."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, listener:
            connection.recv(1 << 20)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + text)

    thread = Thread(target=serve)
    thread.start()
    return thread


def test_a_build_is_sent(tmp_path: Path) -> None:
    thread = answering(tmp_path / "s", b'{"stream":"Successfully built 1"}')
    send(str(tmp_path / "s"), b"x", True)
    thread.join()
    assert not thread.is_alive()


def test_one_that_fails_is_told(tmp_path: Path) -> None:
    thread = answering(tmp_path / "s", b'{"error":"no"}')
    with pytest.raises(RuntimeError, match="the build failed"):
        send(str(tmp_path / "s"), b"x", False)
    thread.join()


def test_the_context() -> None:
    with tarfile.open(fileobj=io.BytesIO(context())) as archive:
        assert "Dockerfile" in archive.getnames()
