from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.platform.adapters.copy_tree import CopyTree
from shared.archive import tar
from shared.archive.entries import EntryError
from shared.archive.tar import Header


def copy(
    top: Path, *headers: Header, destination: str = "/d", keeps: bool = False, owner: tuple[int, int] | None = None
) -> None:
    writer = CopyTree(1 << 20, os.open(top, os.O_RDONLY), destination, keeps, owner)
    for header in headers:
        writer.apply(header, iter(()))
    writer.finish()


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (Header("../evil"), '"../evil" is outside of "/d"'),
        (Header("a/../../d2"), '"../d2" is outside of "/d"'),
        (Header("h", kind=tar.HARD_LINK, link="../etc/passwd"), 'invalid hardlink "/etc/passwd" -> "../etc/passwd"'),
        (Header("s", kind=tar.SYMLINK, link="../../etc"), 'invalid symlink "/d/s" -> "../../etc"'),
        (Header("x/s", kind=tar.SYMLINK, link="../../d2"), 'invalid symlink "/d/x/s" -> "../../d2"'),
    ],
)
def test_what_leads_outside(tmp_path: Path, header: Header, text: str) -> None:
    with pytest.raises(EntryError) as refused:
        copy(tmp_path, header)
    assert str(refused.value) == text
    assert list(tmp_path.iterdir()) == []


def test_links_inside_and_absolute_ones(tmp_path: Path) -> None:
    copy(tmp_path, Header("x/s", kind=tar.SYMLINK, link="../y"), Header("a", kind=tar.SYMLINK, link="/etc"))
    assert (os.readlink(tmp_path / "x/s"), os.readlink(tmp_path / "a")) == ("../y", "/etc")
    copy(tmp_path, Header("up", kind=tar.SYMLINK, link="../../.."), destination="/")


def test_kinds_are_kept_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").touch()
    folder = Header("file", kind=tar.DIRECTORY)
    for header, text in (
        (Header("dir"), 'cannot overwrite directory "/d/dir" with non-directory "/d"'),
        (folder, 'cannot overwrite non-directory "/d/file" with directory "/d"'),
    ):
        with pytest.raises(EntryError) as refused:
            copy(tmp_path, header, keeps=True)
        assert str(refused.value) == text
    copy(tmp_path, Header("dir", kind=tar.DIRECTORY), Header("file"), keeps=True)
    copy(tmp_path, Header("dir"), folder)
    assert ((tmp_path / "dir").is_file(), (tmp_path / "file").is_dir()) == (True, True)


def test_everything_becomes_the_owners(tmp_path: Path) -> None:
    copy(tmp_path, Header("f", uid=1, gid=1), Header("d", kind=tar.DIRECTORY), owner=(7, 8))
    assert {(path.stat().st_uid, path.stat().st_gid) for path in tmp_path.iterdir()} == {(7, 8)}
