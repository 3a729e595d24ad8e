"""What a hostile sender may try: nothing outside of the tree changes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from shared.errors import InvalidArgument
from shared.treesync import TreeTarget
from shared.treesync.records import Data, End, Gone, Node, Record, encode

FILE, DIRECTORY, LINK = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777


def send(root: Path, *records: Record) -> None:
    target = TreeTarget(str(root), last=True)
    try:
        for record in records:
            target.feed(encode(record))
    finally:
        target.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.mark.parametrize("path", [b"../outside/made", b"/etc/made", b"a/../../made", b".", b"..", b"a//b", b"x\0y"])
def test_names_that_lead_out(root: Path, path: bytes) -> None:
    with pytest.raises((InvalidArgument, OSError)):
        send(root, Node(path, FILE, size=1))
    assert not (root.parent / "outside" / "made").exists()
    assert not Path("/etc/made").exists()


@pytest.mark.parametrize("way", ["file", "gone", "hard", "target"])
def test_links_are_not_followed(root: Path, way: str) -> None:
    attempts: dict[str, Record] = {
        "file": Node(b"out/secret", FILE, size=1),
        "gone": Gone(b"out/secret"),
        "hard": Node(b"out/new", FILE, target=b"out/secret", hard=True),
        "target": Node(b"new", FILE, target=b"out/secret", hard=True),
    }
    with pytest.raises(OSError, match=r"Not a directory|Too many levels") if way != "gone" else Quiet():
        send(root, Node(b"out", LINK, target=b"../outside"), attempts[way])
    assert (root.parent / "outside" / "secret").read_text() == "secret"
    assert (root.parent / "outside" / "secret").stat().st_nlink == 1
    assert not (root / "new").exists()


class Quiet:
    """What was not there to be removed is no error, and need not be one."""

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> bool:
        return isinstance(error[1], OSError)


def test_a_file_that_is_a_link_here_is_not_written_through(root: Path) -> None:
    os.symlink("../outside/secret", root / "file")
    with pytest.raises(OSError, match="Too many levels"):
        send(root, Node(b"file", FILE, size=1, fresh=False), Data(0, b"x"))
    assert (root.parent / "outside" / "secret").read_text() == "secret"


@pytest.mark.parametrize(
    "records",
    [
        (Data(0, b"x"),),
        (Node(b"f", FILE, size=1), Data(1, b"x")),
        (Node(b"f", FILE, size=1), Data(-1, b"x")),
        (Gone(b""),),
        (Node(b"f", FILE, size=0), End(5)),
        (Node(b"f", 0o177777),),
        (Node(b"d", DIRECTORY), Node(b"e", FILE, target=b"d", hard=True)),
    ],
)
def test_what_no_honest_tree_has(root: Path, records: tuple[Record, ...]) -> None:
    with pytest.raises(InvalidArgument):
        send(root, *records)


def test_attributes_that_a_kernel_trusts_are_not_set(root: Path) -> None:
    send(
        root,
        Node(
            b"d", DIRECTORY, xattrs={"trusted.overlay.redirect": b"/", "trusted.overlay.opaque": b"y", "user.a": b"b"}
        ),
        End(1),
    )
    assert set(os.listxattr(root / "d")) == {"trusted.overlay.opaque", "user.a"}
