from __future__ import annotations

import pytest

from services.builder.domain import copying
from services.builder.domain.copying import How, Item, Owner, Place, entries, layer
from services.builder.domain.tree import DIRECTORY, FILE, SYMLINK, Node, Source, Tree, directory
from shared.archive import tar
from shared.errors import InvalidArgument

SOURCE = Source(0, 0, 3, b"digest")
ROOT = Place("", DIRECTORY, (("", directory()),))


def file(mode: int = 0o644, **more: object) -> Node:
    return Node(FILE, mode, 5, 6, 1_500_000_000, source=SOURCE, **more)  # type: ignore[arg-type]


def folder() -> Node:
    made = Tree()
    made.put("sub", directory(0o750, 5, 6))
    made.put("sub/f", file())
    made.put("l", Node(SYMLINK, link="sub/f"))
    return made.root


def shown(made: Tree) -> list[tuple[str, str, int, int]]:
    return [(path, node.kind, node.mode, node.uid) for path, node in made.walk()]


def place(path: str, kind: str = "") -> Place:
    above: list[tuple[str, Node]] = [("", directory())]
    if kind == DIRECTORY:
        above.append((path, directory(0o700, 9, 9)))
    return Place(path, kind, tuple(above))


def test_a_file_by_name_and_into_a_directory() -> None:
    item = Item(file(), "f")
    assert shown(layer([item], "/x", place("x"), How())) == [("x", FILE, 0o644, 0)]
    assert shown(layer([item], "/x/", place("x"), How())) == [("x", DIRECTORY, 0o755, 0), ("x/f", FILE, 0o644, 0)]
    assert shown(layer([item], "/x", place("x", DIRECTORY), How())) == [
        ("x", DIRECTORY, 0o700, 9),
        ("x/f", FILE, 0o644, 0),
    ]


def test_a_directory_gives_its_contents() -> None:
    made = layer([Item(folder(), "folder")], "/x", place("x"), How(Owner(7, 8)))
    assert shown(made) == [
        ("x", DIRECTORY, 0o755, 7), ("x/l", SYMLINK, 0o755, 7), ("x/sub", DIRECTORY, 0o750, 7),
        ("x/sub/f", FILE, 0o644, 7),
    ]  # fmt: skip
    there = layer([Item(folder(), "folder")], "/x", place("x", DIRECTORY), How(Owner(7, 8)))
    assert shown(there)[0] == ("x", DIRECTORY, 0o700, 9)


def test_new_folders_above_belong_to_the_copys_owner_for_files_only() -> None:
    assert shown(layer([Item(file(), "f")], "/a/b", place("a/b"), How(Owner(7))))[0] == ("a", DIRECTORY, 0o755, 7)
    assert shown(layer([Item(folder(), "d")], "/a/b", place("a/b"), How(Owner(7))))[:2] == [
        ("a", DIRECTORY, 0o755, 0), ("a/b", DIRECTORY, 0o755, 7),
    ]  # fmt: skip


def test_owners_bits_and_capabilities() -> None:
    special = file(0o6755, xattrs={copying.CAPABILITY: b"c", "user.x": b"y"})
    taken = layer([Item(special, "f")], "/f", place("f"), How()).find("f")[0]
    kept = layer([Item(special, "f")], "/f", place("f"), How(owner=None)).find("f")[0]
    assert (taken.mode, taken.xattrs) == (0o755, {})
    assert (kept.mode, kept.uid, kept.xattrs) == (0o6755, 5, {copying.CAPABILITY: b"c"})
    assert layer([Item(special, "f")], "/f", place("f"), How(mode=0o4711)).find("f")[0].mode == 0o4711


def test_times() -> None:
    assert layer([Item(file(), "f")], "/f", place("f"), How()).find("f")[0].mtime == 1_000_000_000
    assert layer([Item(file(), "f")], "/f", place("f"), How(latest=5)).find("f")[0].mtime == 5


def test_an_unpacked_archive_keeps_its_owners() -> None:
    archive = Tree()
    archive.put("d/f", file())
    assert shown(layer([Item(file(), "a.tar", archive)], "/x", place("x"), How(Owner(1)))) == [
        ("x", DIRECTORY, 0o755, 0), ("x/d", DIRECTORY, 0o755, 0), ("x/d/f", FILE, 0o644, 5),
    ]  # fmt: skip


def test_the_archive_of_a_layer() -> None:
    made = Tree()
    node = file()
    made.put("d/a", node)
    made.put("d/b", node)
    made.put("l", Node(SYMLINK, link="d"))
    found = [(header.name, header.kind, header.link, header.size, source) for header, source in entries(made)]
    assert found == [
        ("d/", tar.DIRECTORY, "", 0, None), ("d/a", tar.REGULAR, "", 3, SOURCE), ("d/b", tar.HARD_LINK, "d/a", 0, None),
        ("l", tar.SYMLINK, "d", 0, None),
    ]  # fmt: skip


def test_a_file_where_a_directory_is_needed() -> None:
    with pytest.raises(InvalidArgument, match="cannot copy to non-directory: /x"):
        layer([Item(folder(), "d")], "/x", place("x", FILE), How())
    with pytest.raises(InvalidArgument, match="Cannot mkdir: /x is not a directory"):
        copying.folder(place("x", FILE), How())


def test_digests() -> None:
    same = folder()
    assert copying.digest(folder(), owned=False) == copying.digest(same, owned=False)
    same.mtime = 99
    assert same.children is not None
    same.children["sub"].uid = 99
    assert copying.digest(folder(), owned=False) == copying.digest(same, owned=False)
    assert copying.digest(folder(), owned=True) != copying.digest(same, owned=True)
    same.children["sub"].mode = 0
    assert copying.digest(folder(), owned=False) != copying.digest(same, owned=False)
    assert copying.digest_of(["file:a"]) == "file:a"
    assert copying.digest_of(["file:a", "dir:b"]).startswith("multi:")


@pytest.mark.parametrize(
    ("working_dir", "wanted", "path"),
    [
        ("/w", "x", "/w/x"),
        ("/w", "x/", "/w/x/"),
        ("", ".", "/"),
        ("/w", "../x", "/x"),
        ("/w", "/a/", "/a/"),
        ("/w", "./", "/w/"),
    ],
)
def test_destinations(working_dir: str, wanted: str, path: str) -> None:
    assert copying.destination(working_dir, wanted) == path


def test_modes() -> None:
    assert copying.file_mode("0755") == 0o755
    assert copying.file_mode("") is None
    for text in ("8", "u+x", "77777"):
        with pytest.raises(InvalidArgument, match="invalid chmod parameter"):
            copying.file_mode(text)
