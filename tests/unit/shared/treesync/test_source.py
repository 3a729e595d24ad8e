"""Both ends together: after each pass the copy is as the tree is."""

from __future__ import annotations

import mmap
import os
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.treesync import TreeSource, TreeTarget
from shared.treesync.source import BLOCK, OPAQUE


class Pair:
    """A tree, its copy, and the source between them."""

    def __init__(self, folder: Path, prefix: str = "") -> None:
        self.tree, self.copy = folder / "tree", folder / "copy"
        self.tree.mkdir()
        self.copy.mkdir()
        self.source = TreeSource(str(self.tree), prefix)

    def sync(self, still: bool = False) -> int:
        """One pass; how many bytes it took."""
        target = TreeTarget(str(self.copy), still)
        sent = 0
        try:
            for piece in self.source.changes(still):
                sent += len(piece)
                complete = target.feed(piece)
            assert complete
        finally:
            target.close()
        return sent

    def check_equal(self) -> None:
        assert describe(self.copy) == describe(self.tree)


def describe(root: Path) -> dict[str, object]:
    """All that a copy has to have, hard links as sets of names."""
    found: dict[str, object] = {}
    links: dict[int, list[str]] = {}
    for path in sorted([root, *root.rglob("*")]):
        name, status = str(path.relative_to(root)), path.lstat()
        content: object = None
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
            links.setdefault(status.st_ino, []).append(name)
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        xattrs = {
            each: os.getxattr(path, each, follow_symlinks=False) for each in os.listxattr(path, follow_symlinks=False)
        }
        device = status.st_rdev if stat.S_ISCHR(status.st_mode) else 0
        found[name] = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, device, xattrs, content)
    found["links"] = sorted(names for names in links.values())
    return found


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def test_everything_a_writable_layer_may_hold(pair: Pair) -> None:
    inside = pair.tree / "d"
    inside.mkdir(mode=0o1777)
    os.setxattr(inside, OPAQUE, b"y")
    (inside / "file").write_bytes(b"content")
    os.chown(inside / "file", 1000, 1001)
    os.chmod(inside / "file", 0o4755)
    os.setxattr(inside / "file", "user.note", b"\0x")
    os.link(inside / "file", pair.tree / "z-link")
    os.symlink("/etc/passwd", pair.tree / "symlink")
    os.mknod(pair.tree / "whiteout", stat.S_IFCHR, os.makedev(0, 0))
    os.mkfifo(pair.tree / "fifo", 0o640)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(pair.tree / "socket"))
        pair.sync()
        pair.check_equal()
    assert (pair.copy / "whiteout").stat().st_rdev == 0
    assert os.getxattr(pair.copy / "d", OPAQUE) == b"y"


def test_what_did_not_change_is_not_sent(pair: Pair) -> None:
    for number in range(20):
        (pair.tree / f"{number}").write_bytes(os.urandom(10_000))
        os.utime(pair.tree / f"{number}", ns=(0, 0))
    pair.sync()
    old(pair)
    pair.sync()
    assert pair.sync(still=True) < 300
    pair.check_equal()


def old(pair: Pair) -> None:
    """As if all that was seen had long been so: times are trusted."""
    for seen in pair.source._seen.values():
        seen.racy = False


def test_of_a_large_file_only_changed_blocks_are_sent(pair: Pair) -> None:
    large = pair.tree / "large"
    large.write_bytes(os.urandom(64 * BLOCK))
    pair.sync()
    with large.open("r+b") as file:
        file.seek(17 * BLOCK + 5)
        file.write(b"changed")
        file.seek(0, os.SEEK_END)
        file.write(b"grown")
    assert pair.sync(still=True) < 3 * BLOCK
    pair.check_equal()
    os.truncate(large, 9 * BLOCK + 9)
    assert pair.sync(still=True) < 2 * BLOCK
    pair.check_equal()


def test_holes_stay_holes_and_what_becomes_one_is_zero(pair: Pair) -> None:
    sparse = pair.tree / "sparse"
    with sparse.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(500 << 20)
        file.write(b"in the middle")
    assert pair.sync() < 4 * BLOCK
    assert (pair.copy / "sparse").stat().st_blocks < 4096
    with sparse.open("r+b") as file:
        file.truncate(0)
        file.truncate(1 << 30)
    pair.sync(still=True)
    with (pair.copy / "sparse").open("rb") as file:
        file.seek(500 << 20)
        assert not file.read(100).strip(b"\0")


def test_writes_through_a_mapping_are_seen(pair: Pair) -> None:
    path = pair.tree / "mapped"
    path.write_bytes(bytes(8 * BLOCK))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[0:5] = b"first"
        pair.sync()
        old(pair)
        mapped[0:6] = b"second"  # the page is dirty already, but was written back
        pair.sync(still=True)
        assert (pair.copy / "mapped").read_bytes()[:6] == b"second"
        pair.check_equal()


def test_kinds_change_and_trees_go(pair: Pair) -> None:
    for name in ("a", "b", "c"):
        (pair.tree / name / "deep" / "deeper").mkdir(parents=True)
        (pair.tree / name / "deep" / "file").write_text(name)
    (pair.tree / "file").write_text("file")
    pair.sync()
    os.rename(pair.tree / "a", pair.tree / "renamed")
    (pair.tree / "b" / "deep" / "file").unlink()
    (pair.tree / "b" / "deep" / "file").mkdir()
    os.rename(pair.tree / "c", pair.tree / "gone-soon")
    (pair.tree / "c").write_text("a file now")
    (pair.tree / "file").unlink()
    os.symlink("c", pair.tree / "file")
    pair.sync()
    pair.check_equal()


def test_hard_links_come_and_go(pair: Pair) -> None:
    (pair.tree / "b").write_text("one")
    pair.sync()
    os.link(pair.tree / "b", pair.tree / "a")
    os.link(pair.tree / "b", pair.tree / "c")
    pair.sync()
    pair.check_equal()
    (pair.tree / "a").unlink()
    (pair.tree / "b").write_text("changed")
    pair.sync()
    pair.check_equal()


def test_only_names_with_the_prefix(tmp_path: Path) -> None:
    pair = Pair(tmp_path, prefix="ab")
    for name in ("abc", "abd", "other"):
        (pair.tree / name).write_text(name)
    (pair.copy / "other").write_text("stays")
    pair.sync()
    (pair.tree / "abd").unlink()
    pair.sync()
    assert {path.name: path.read_text() for path in pair.copy.iterdir()} == {"abc": "abc", "other": "stays"}


NAMES = st.sampled_from(["a", "b", "c", "d"])
ACTIONS = st.tuples(
    st.sampled_from(["write", "append", "mkdir", "remove", "rename", "link", "symlink", "chmod"]), NAMES, NAMES
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(ACTIONS, st.just(("sync", "", ""))), max_size=30))
def test_whatever_happens_between_passes(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, str, str]]
) -> None:
    pair = Pair(tmp_path_factory.mktemp("pair"))
    for action, one, other in actions:
        try:
            pair.sync() if action == "sync" else act(pair.tree, action, one, other)
        except OSError:
            continue  # not possible as things are
    pair.sync(still=True)
    pair.check_equal()


def act(tree: Path, action: str, one: str, other: str) -> None:
    path, there = tree / one, tree / other
    if action in ("write", "mkdir", "link", "symlink"):
        make(path, there, action)
    elif action == "append":
        with path.open("ab") as file:
            file.write(os.urandom(BLOCK + 7))
    elif action == "chmod":
        os.chmod(path, 0o500 + ord(one) % 8)
    elif action == "rename":
        os.rename(path, there / one if there.is_dir() else there)
    else:
        os.rename(path, tree.parent / os.urandom(4).hex())


def make(path: Path, there: Path, action: str) -> None:
    match action:
        case "write":
            (there / path.name if there.is_dir() else path).write_text(action)
        case "mkdir":
            path.mkdir()
        case "link":
            os.link(path, there)
        case _:
            os.symlink(there.name, path)
