from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from shared.archive import tar
from shared.archive.tree import contents, only, walk


def entries(top: Path, below: str = "") -> dict[str, bytes]:
    root = os.open(top, os.O_RDONLY)
    try:
        return {found.header.name: found.header.kind for found in walk(root, below)}
    finally:
        os.close(root)


def test_all_kinds_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/inner").touch()
    (tmp_path / "a").write_text("x")
    os.link(tmp_path / "a", tmp_path / "c")
    os.symlink("/etc", tmp_path / "link")
    os.mkfifo(tmp_path / "pipe")
    os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    found = entries(tmp_path)
    assert found == {
        "/": tar.DIRECTORY, "a": tar.REGULAR, "c": tar.HARD_LINK, "link": tar.SYMLINK, "null": tar.CHARACTER,
        "pipe": tar.FIFO, "b/": tar.DIRECTORY, "b/inner": tar.REGULAR,
    }  # fmt: skip
    assert list(found) == ["/", "a", "c", "link", "null", "pipe", "b/", "b/inner"]
    assert list(entries(tmp_path, "b")) == ["b/", "b/inner"]


def test_what_a_header_says(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("content")
    os.chown(path, 70_000, 5)
    os.chmod(path, 0o4751)
    os.utime(path, ns=(0, 1_500_000_000))
    os.symlink("a/b", tmp_path / "l")
    root = os.open(tmp_path, os.O_RDONLY)
    headers = {found.header.name: found.header for found in walk(root)}
    os.close(root)
    file = headers["f"]
    assert (file.mode, file.uid, file.gid, file.size, file.mtime) == (0o4751, 70_000, 5, 7, 1_000_000_000)
    assert (headers["l"].link, headers["l"].size) == ("a/b", 0)


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").touch()
    os.symlink(tmp_path / "outside", tmp_path / "tree/way")
    root = os.open(tmp_path / "tree", os.O_RDONLY)
    with pytest.raises(OSError, match="Not a directory"):
        list(walk(root, "way"))
    assert [found.path for found in walk(root)] == ["", "way"]
    os.close(root)


def test_what_is_swapped_meanwhile_is_left_out(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").touch()
    root = os.open(tmp_path, os.O_RDONLY)
    seen = []
    for found in walk(root):
        seen.append(found.path)
        if found.path == "a":
            (tmp_path / "b").rename(tmp_path / "moved")
            (tmp_path / "b").symlink_to("/etc")
    os.close(root)
    assert seen == ["", "a", "a/x", "c", "c/x"]


def test_the_data_of_a_file_with_holes(tmp_path: Path) -> None:
    with open(tmp_path / "f", "wb") as file:
        file.seek(1 << 30)
        file.write(b"end")
        file.truncate(1 << 31)
    with open(tmp_path / "f", "rb") as file:
        status = os.fstat(file.fileno())
        parts = [(at, bytes(piece)) for at, piece in contents(file.fileno(), status, memoryview(bytearray(8192)))]
    assert b"".join(piece for _, piece in parts).strip(b"\0") == b"end"
    assert (1 << 30) - 8192 < parts[0][0] <= 1 << 30
    assert sum(len(piece) for _, piece in parts) < 1 << 16


def test_the_data_of_a_plain_file(tmp_path: Path) -> None:
    data = os.urandom(20_000)
    (tmp_path / "f").write_bytes(data)
    with open(tmp_path / "f", "rb") as file:
        status = os.fstat(file.fileno())
        parts = [(at, bytes(piece)) for at, piece in contents(file.fileno(), status, memoryview(bytearray(8192)))]
    assert [at for at, _ in parts] == [0, 8192, 16384]
    assert b"".join(piece for _, piece in parts) == data


def test_one_thing_alone(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("data")
    (tmp_path / "l").symlink_to("f")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
    found = {}
    for name in ("f", "l", "s"):
        held = os.open(tmp_path / name, os.O_PATH | os.O_NOFOLLOW)
        for each in only(held, "called"):
            found[name] = (each.header.name, each.header.kind, each.header.size, each.header.link)
        os.close(held)
    assert found == {"f": ("called", tar.REGULAR, 4, ""), "l": ("called", tar.SYMLINK, 0, "f")}
