from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.builder.domain.tree import DIRECTORY, FILE, SYMLINK, Node, Tree, directory, only, parts_of
from shared.errors import InvalidArgument, NotFound


def tree(*paths: str, **links: str) -> Tree:
    """`a/b` a file, `a/` a directory; links by name."""
    made = Tree()
    for path in paths:
        made.put(path, directory() if path.endswith("/") else Node(FILE))
    for name, target in links.items():
        made.put(name, Node(SYMLINK, link=target))
    return made


def paths(made: Tree) -> list[str]:
    return [path for path, _ in made.walk()]


def test_files_and_the_folders_they_are_in() -> None:
    assert paths(tree("b/c", "a", "b/a/x")) == ["a", "b", "b/a", "b/a/x", "b/c"]


def test_what_comes_later_counts() -> None:
    made = tree("a/x", "b")
    made.put("b", directory(0o700))
    made.put("a", directory(0o750))
    assert (paths(made), made.find("a")[0].mode) == (["a", "a/x", "b"], 0o750)
    made.put("a", Node(FILE))
    assert paths(made) == ["a", "b"]


def test_links_are_followed_inside() -> None:
    made = tree("d/f", "d/in/", l="/d", up="../../d/f", loop="loop", dangling="nowhere")
    made.put("d/in/back", Node(SYMLINK, link="../f"))
    assert made.find("l/f")[1] == made.find("up")[1] == made.find("d/in/back")[1] == "d/f"
    assert made.find("l/in/../f")[1] == "d/f"
    assert made.find("up", follow=False)[0].kind == SYMLINK
    for path in ("dangling", "d/f/x", "none"):
        with pytest.raises(NotFound):
            made.find(path)
    with pytest.raises(InvalidArgument, match="too many links"):
        made.find("loop")


def test_entries_below_a_link_go_where_it_leads() -> None:
    made = tree("d/", l="d")
    made.put("l/x/y", Node(FILE))
    assert paths(made) == ["d", "d/x", "d/x/y", "l"]


def test_hard_links_are_one_file() -> None:
    made = tree("a", "d/")
    made.link("b", "a")
    assert made.find("a")[0] is made.find("b")[0]
    for target in ("none", "d"):
        with pytest.raises(InvalidArgument, match="hard link"):
            made.link("c", target)


def test_patterns() -> None:
    made = tree("a/x.go", "a/y.c", "b/x.go", "x.go", "a/d/x.go", l="a")
    assert made.match("*.go") == ["x.go"]
    assert made.match("*/*.go") == ["a/x.go", "b/x.go"]
    assert made.match("[") == made.match("?/" * 300 + "x") == []


@pytest.mark.parametrize("path", ["../a", "a/../../b", "a\0b", ".."])
def test_paths_that_lead_out(path: str) -> None:
    with pytest.raises(InvalidArgument, match="outside"):
        parts_of(path)


def test_below_a_file_there_is_nothing() -> None:
    with pytest.raises(InvalidArgument, match="not a directory"):
        tree("a").put("a/b", Node(FILE))


def test_taking_away() -> None:
    made = tree("a/b", "a/c", "d")
    made.remove("a/b")
    made.remove("none/x")
    assert paths(made) == ["a", "a/c", "d"]
    only(made, ["a/c"])
    assert paths(made) == ["a", "a/c"]


@given(st.lists(st.text("ab./", min_size=1, max_size=8), max_size=8))
def test_a_tree_is_a_tree_whatever_is_put(given_paths: list[str]) -> None:
    made = Tree()
    for path in given_paths:
        try:
            made.put(path, directory() if path.endswith("/") else Node(FILE))
        except InvalidArgument:
            continue
    for path, node in made.walk():
        assert made.find(path) == (node, path)
        assert not path.startswith("/")
    assert made.root.kind == DIRECTORY
