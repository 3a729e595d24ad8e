"""Plain archives; what layers have more is tested with `services.image_store.adapters.layer_tree`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.archive import tar, tree_writer
from shared.archive.entries import EntryError
from shared.archive.source import LimitError
from shared.archive.tar import Header, TarError
from shared.archive.tree_writer import TreeWriter


def write(top: Path, *entries: tuple[Header, bytes], most: int = 1 << 20) -> TreeWriter:
    writer = TreeWriter(most, os.open(top, os.O_RDONLY))
    for header, data in entries:
        header.size = len(data)
        writer.apply(header, iter([memoryview(data)] if data else []))
    writer.finish()
    return writer


def test_directories_that_no_entry_describes_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_writer, "MOST_IMPLIED", 1000)
    write(tmp_path, *((Header(f"{number}/" + "d/" * 90 + "f"), b"") for number in range(10)))
    with pytest.raises(LimitError, match="more than 1000 directories that no entry describes"):
        write(tmp_path, *((Header(f"{number}/" + "d/" * 90 + "f"), b"") for number in range(10, 22)))


def test_into_a_directory_that_has_something(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/kept").touch()
    (tmp_path / "old").write_text("old")
    write(
        tmp_path,
        (Header("d/", kind=tar.DIRECTORY, mode=0o700, mtime=10**9), b""),
        (Header("d/new", mode=0o4755, uid=5, gid=6), b"data"),
        (Header("old"), b"new"),
        (Header("missing/f"), b""),
        (Header("s", kind=tar.SYMLINK, link="/etc"), b""),
        (Header("h", kind=tar.HARD_LINK, link="d/new"), b""),
        (Header(".wh.x"), b""),
    )
    status = (tmp_path / "d/new").stat()
    assert (status.st_mode, status.st_uid, status.st_gid, status.st_nlink) == (stat.S_IFREG | 0o4755, 5, 6, 2)
    assert (tmp_path / "d/kept").exists()
    assert ((tmp_path / "d").stat().st_mode & 0o777, (tmp_path / "d").stat().st_mtime) == (0o700, 1)
    assert ((tmp_path / "old").read_text(), os.readlink(tmp_path / "s")) == ("new", "/etc")
    assert ((tmp_path / "missing").stat().st_mode & 0o777, (tmp_path / ".wh.x").exists()) == (0o755, True)


def test_the_top_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    write(tmp_path, (Header("./", kind=tar.DIRECTORY, mode=0o777), b""))
    assert tmp_path.stat().st_mode & 0o777 == 0o711


def test_a_directory_gives_way_to_a_file_and_a_file_to_a_directory(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "f").touch()
    write(tmp_path, (Header("a"), b"1"), (Header("f/", kind=tar.DIRECTORY), b""))
    assert ((tmp_path / "a").read_text(), (tmp_path / "f").is_dir()) == ("1", True)


def test_what_cannot_be_made(tmp_path: Path) -> None:
    for header, text in (
        (Header("h", kind=tar.HARD_LINK, link="nope"), "which is no file"),
        (Header("h", kind=tar.HARD_LINK, link="no/pe"), "which is not there"),
        (Header("x", kind=b"V"), "unhandled tar header type"),
        (Header("n" * 300), "too long"),
    ):
        with pytest.raises(EntryError, match=text):
            write(tmp_path, (header, b""))
    with pytest.raises(LimitError):
        write(tmp_path, (Header("big"), b"x" * 11), most=10)


def test_a_file_that_does_not_come_whole_is_not_there(tmp_path: Path) -> None:
    """Under its name there would be something else than was sent. What was made before it stays, as in Docker."""

    def broken_off() -> Iterator[memoryview]:
        yield memoryview(b"half")
        raise TarError("unexpected EOF")

    writer = TreeWriter(1 << 20, os.open(tmp_path, os.O_RDONLY))
    writer.apply(Header("d/", kind=tar.DIRECTORY), iter(()))
    with pytest.raises(TarError):
        writer.apply(Header("d/f", size=8), broken_off())
    assert os.listdir(tmp_path / "d") == []


def test_links_lead_where_the_top_has_them(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "way").symlink_to("real")
    write(tmp_path, (Header("way/f"), b"x"))
    assert (tmp_path / "real/f").read_text() == "x"
    assert (tmp_path / "way").is_symlink()
