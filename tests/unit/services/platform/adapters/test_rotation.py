"""A monitor that begins its log anew: its older part stays."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import pytest

from services.platform.adapters import rotation
from services.platform.adapters.logs import LogFile
from services.platform.adapters.rotation import Rotation
from tests.support.platform_host import until


def begin_anew(path: Path, text: bytes) -> None:
    """As conmon does it."""
    fresh = path.with_name(path.name + ".tmp")
    fresh.write_bytes(text)
    fresh.rename(path)


def contents(path: Path, bound: int = 0) -> bytes:
    file = LogFile(path, bound)
    pieces = []
    while piece := file.read():
        pieces.append(piece)
    file.close()
    return b"".join(pieces)


@pytest.fixture
def path(directory: Path) -> Path:
    made = directory / "x.log"
    made.write_bytes(b"one\n")
    return made


@pytest.fixture
async def watched(path: Path) -> AsyncIterator[Rotation]:
    made = Rotation(path.parent)
    made.open()
    yield made
    await made.close()


async def test_two_parts_are_there(path: Path, watched: Rotation) -> None:
    rotation.hold(path, compress=False)
    held = rotation.beside(path, ".held")
    begin_anew(path, b"two\n")
    await until(lambda: held.exists() and held.read_bytes() == b"two\n")
    begin_anew(path, b"three\n")
    await until(lambda: held.exists() and held.read_bytes() == b"three\n")
    assert contents(path) == b"two\nthree\n"
    assert contents(path, 8) == b"three\n"
    rotation.remove(path)
    assert list(path.parent.iterdir()) == []


async def test_the_older_part_is_packed(path: Path, watched: Rotation) -> None:
    rotation.hold(path, compress=True)
    begin_anew(path, b"two\n")
    packed = rotation.beside(path, ".old.gz")
    await until(packed.exists)
    assert gzip.decompress(packed.read_bytes()) == b"one\n"
    assert not rotation.beside(path, ".old").exists()
    assert contents(path) == b"one\ntwo\n"
    begin_anew(path, b"three\n")
    await until(lambda: packed.exists() and gzip.decompress(packed.read_bytes()) == b"two\n")
    assert contents(path) == b"two\nthree\n"


async def test_a_log_that_turns_again_while_its_older_part_is_packed(
    path: Path, watched: Rotation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever is packed first: the later part stays, whole."""
    go_on, packed, pack = threading.Event(), [], rotation.pack

    def slow(plain: BinaryIO, partial: Path) -> None:
        packed.append(os.pread(plain.fileno(), 100, 0))
        pack(plain, partial)
        if packed == [b"one\n"]:
            assert go_on.wait(60)

    monkeypatch.setattr(rotation, "pack", slow)
    rotation.hold(path, compress=True)
    begin_anew(path, b"two\n")
    await until(lambda: packed == [b"one\n"])
    begin_anew(path, b"three\n")
    older = rotation.beside(path, ".old.gz")
    await until(lambda: older.exists())
    go_on.set()
    await until(lambda: not list(path.parent.glob("*.old.gz.*")))
    assert contents(path) == b"two\nthree\n"


async def test_what_a_crash_left_of_packing_is_removed(path: Path) -> None:
    left = rotation.beside(path, ".old.gz.7")
    left.write_bytes(b"half")
    made = Rotation(path.parent)
    made.open()
    assert not left.exists()
    await made.close()


async def test_what_was_missed_is_done_at_the_start(path: Path) -> None:
    rotation.hold(path, compress=False)
    begin_anew(path, b"two\n")
    assert contents(path) == b"one\ntwo\n"
    made = Rotation(path.parent)
    made.open()
    assert rotation.beside(path, ".old").read_bytes() == b"one\n"
    begin_anew(path, b"three\n")
    await until(lambda: rotation.beside(path, ".old").read_bytes() == b"two\n")
    assert contents(path) == b"two\nthree\n"
    await made.close()


async def test_logs_that_nobody_holds_are_left_alone(path: Path, watched: Rotation) -> None:
    begin_anew(path, b"two\n")
    rotation.turn(path)
    assert [name.name for name in path.parent.iterdir()] == ["x.log"]
