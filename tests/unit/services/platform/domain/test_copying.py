from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.domain.copying import TooManyLinksError, absolute, base, follow, refusal
from shared.contracts.container import MountPoint


@pytest.mark.parametrize(
    ("path", "cleaned", "last"),
    [
        ("/d", "/d", "d"),
        ("d", "/d", "d"),
        ("/d/", "/d/", "d"),
        ("/d/.", "/d/.", "."),
        ("/d//x/../y", "/d/y", "y"),
        ("//d", "/d", "d"),
        ("/", "/", "/"),
        ("/.", "/.", "."),
        (".", "/.", "."),
        ("..", "/", "/"),
        ("../..//x/", "/x/", "x"),
        ("/d/..", "/", "/"),
    ],
)
def test_paths_as_docker_reads_them(path: str, cleaned: str, last: str) -> None:
    assert (absolute(path), base(absolute(path))) == (cleaned, last)


LINKS = {"/a": "b", "/b": "/d/c", "/d/up": "../../../x", "/l1": "l2", "/l2": "/l1", "/broken": "no/where"}


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("/", "/"),
        ("/d/f", "/d/f"),
        ("/a", "/d/c"),
        ("/a/f", "/d/c/f"),
        ("/d/up", "/x"),
        ("/d/up/y/", "/x/y"),
        ("/broken", "/no/where"),
        ("/d/.", "/d"),
    ],
)
def test_where_links_lead(path: str, end: str) -> None:
    assert follow(path, LINKS.get) == end


def test_links_that_lead_to_each_other() -> None:
    with pytest.raises(TooManyLinksError):
        follow("/l1", LINKS.get)


@given(
    st.lists(st.sampled_from(["a", "b", "..", "."]), min_size=1, max_size=6),
    st.dictionaries(st.sampled_from(["/a", "/b", "/a/b", "/b/a"]), st.sampled_from(["..", "/", "a", "../b", "/a/.."])),
)
def test_no_link_leads_out(parts: list[str], links: dict[str, str]) -> None:
    try:
        end = follow("/" + "/".join(parts), links.get)
    except TooManyLinksError:
        return
    assert end.startswith("/")
    assert ".." not in end.split("/")


POINTS = (
    MountPoint(type="volume", destination="/v", rw=True),
    MountPoint(type="bind", destination="/v/ro", rw=False),
    MountPoint(type="bind", destination="/ro", rw=False),
)


@pytest.mark.parametrize(
    ("path", "readonly", "text"),
    [
        ("/etc", False, ""),
        ("/etc", True, "container rootfs is marked read-only"),
        ("/v", True, ""),
        ("/v/x", True, ""),
        ("/v/ro/x", False, "mounted volume is marked read-only"),
        ("/ro", False, "mounted volume is marked read-only"),
        ("/rough", False, ""),
        ("/", True, "container rootfs is marked read-only"),
    ],
)
def test_what_may_not_be_written_to(path: str, readonly: bool, text: str) -> None:
    assert refusal(path, POINTS, readonly) == text
