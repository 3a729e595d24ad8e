from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.archive import tar
from shared.archive.entries import EntryError, Step, inside, step
from shared.archive.tar import Header


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a", "a"),
        ("./a/b/", "a/b"),
        ("/etc/passwd", "etc/passwd"),
        ("//etc", "etc"),
        ("a/../b", "b"),
        ("a/./b//c", "a/b/c"),
        ("/../x", "x"),
        (".", ""),
        ("./", ""),
        ("/", ""),
        ("a/..", ""),
    ],
)
def test_names_are_cleaned_and_start_at_the_root(name: str, path: str) -> None:
    assert inside(name) == path


@pytest.mark.parametrize("name", ["", "..", "../x", "a/../../x", "./../..", "a\0b", "a/" * 2100, "x" * 256, "ä" * 128])
def test_names_that_lead_outside_or_cannot_be(name: str) -> None:
    with pytest.raises(EntryError):
        inside(name)


@given(st.lists(st.sampled_from(["a", "b", ".", "..", "", "\0", "...", "..a"]), max_size=12).map("/".join))
def test_no_name_leads_outside(name: str) -> None:
    try:
        path = inside(name)
    except EntryError:
        return
    assert path == "" or not any(part in ("", ".", "..") for part in path.split("/"))


def test_links_inside_keep_their_target_links_outside_are_refused() -> None:
    assert step(Header("a", kind=tar.SYMLINK, link="../../etc")) == Step("symlink", "", "a", "../../etc")
    assert step(Header("d/a", kind=tar.HARD_LINK, link="/d/b")) == Step("hardlink", "d", "a", "d/b")
    with pytest.raises(EntryError, match="outside"):
        step(Header("a", kind=tar.HARD_LINK, link="../../etc/passwd"))
    with pytest.raises(EntryError, match="invalid symlink"):
        step(Header("a", kind=tar.SYMLINK, link=""))


def test_only_a_directory_may_be_the_root() -> None:
    assert step(Header("./", kind=tar.DIRECTORY)) == Step("directory", "", "")
    with pytest.raises(EntryError, match="root directory"):
        step(Header("./", kind=tar.REGULAR))


def test_kinds_nobody_can_make() -> None:
    with pytest.raises(EntryError, match="unhandled tar header type 'D'"):
        step(Header("a", kind=b"D"))
