from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from urllib.request import urlopen

import pytest

from tools.bench.client import ApiError
from tools.bench.debian_image import DebianImage, describe, pack
from tools.bench.distribution import check, measure, seed, used
from tools.bench.registry import Registry


def answered(data: bytes) -> socket.socket:
    """A connection on which that came, and then its end."""
    ours, its = socket.socketpair()
    with its:
        its.sendall(data)
    return ours


def test_an_answer_is_counted() -> None:
    with answered(b"HTTP/1.1 200 OK\r\n\r\nabc") as connection:
        assert measure(connection) == 22
    with answered(b'HTTP/1.1 200 OK\r\n\r\n{"stream":"done"}') as connection:
        assert check(connection) == 36


def test_errors_are_told() -> None:
    with answered(b"HTTP/1.1 404 Not Found\r\n\r\n") as connection, pytest.raises(ApiError):
        measure(connection)
    with answered(b'HTTP/1.1 200 OK\r\n\r\n{"error":"no"}') as connection, pytest.raises(RuntimeError, match="no"):
        check(connection)


def test_what_has_several_names_takes_its_room_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(1 << 20))
    once = used(tmp_path)
    os.link(tmp_path / "a", tmp_path / "b")
    assert used(tmp_path) == once >= 1 << 20


def test_a_registry_gets_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.bench.debian_image.LAYERS", (("one",),))
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_text("text")
    pack(tmp_path / "tree", tmp_path / "0.tar")
    describe(tmp_path, 1)
    seed(tmp_path / "registry", DebianImage(tmp_path))
    with (
        Registry(tmp_path / "registry") as registry,
        urlopen(f"http://{registry.name}/v2/bench-debian/tags/list") as answer,
    ):
        assert json.load(answer)["tags"] == ["1"]
