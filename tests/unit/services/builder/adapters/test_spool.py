from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.builder.adapters.spool import Spools, sweep


def test_files_without_a_name(spools: Spools) -> None:
    first, second = spools.new(), spools.new()
    spools.append(first, b"abc")
    spools.append(second, memoryview(b"x"))
    spools.append(first, b"def")
    assert (spools.size(first), spools.read(first, 2, 3), spools.read(second, 0, 9)) == (6, b"cde", b"x")
    assert os.listdir(spools._folder) == []
    spools.close()


def test_however_many_there_are_one_descriptor_is_open(spools: Spools) -> None:
    def opened() -> int:
        return sum(
            str(spools._folder) in os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.exists()
        )

    numbers = [spools.new() for _ in range(3000)]
    for text in (b"abc", b"defg"):
        for number in numbers:
            spools.append(number, text)
    assert {spools.read(number, 1, 5) for number in numbers} == {b"bcdef"}
    assert opened() == 1
    spools.close()
    assert opened() == 0
    late = spools.new()  # a thread of a build that was broken off
    with pytest.raises(ValueError, match="closed"):
        spools.append(late, b"x")
    assert opened() == 0


def test_pieces_of_several_are_told_apart(spools: Spools) -> None:
    """Whoever writes at the same time, and however long the pieces."""
    numbers = [spools.new() for _ in range(8)]
    pieces = [os.urandom(length) for length in (0, 1, 5000, 70_000, 3)] * 20

    def write(number: int) -> None:
        for piece in pieces:
            spools.append(number, bytes((number,)) + piece)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, numbers))
    for number in numbers:
        whole = b"".join(bytes((number,)) + piece for piece in pieces)
        assert spools.size(number) == len(whole)
        assert spools.read(number, 0, len(whole) + 1) == whole
        assert [spools.read(number, at, 7) for at in range(0, 6000, 1000)] == [
            whole[at : at + 7] for at in range(0, 6000, 1000)
        ]
        assert spools.read(number, len(whole), 1) == spools.read(number, len(whole) + 9, 1) == b""
    spools.close()


async def test_folders_go_and_what_a_crash_leaves_is_swept(tmp_path: Path) -> None:
    spools = Spools(tmp_path)
    async with spools.folder() as folder:
        (folder / "x").write_text("x")
    assert not folder.exists()
    (tmp_path / "folders" / "left").mkdir()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []
