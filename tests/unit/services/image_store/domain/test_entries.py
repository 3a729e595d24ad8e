from __future__ import annotations

import pytest

from services.image_store.domain.entries import step
from shared.archive.entries import EntryError, Step
from shared.archive.tar import Header


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("d/.wh.f", Step("whiteout", "d", "f")),
        (".wh.f", Step("whiteout", "", "f")),
        ("d/.wh..wh..opq", Step("opaque", "d", "")),
        ("d/.wh..wh.plnk", Step("ignore", "d", ".wh..wh.plnk")),
    ],
)
def test_whiteouts(name: str, expected: Step) -> None:
    assert step(Header(name)) == expected


@pytest.mark.parametrize("name", ["d/.wh.", "d/.wh..", "d/.wh..."])
def test_whiteouts_of_nothing(name: str) -> None:
    with pytest.raises(EntryError, match="invalid whiteout"):
        step(Header(name))


def test_all_else_is_as_in_any_archive() -> None:
    assert step(Header("d/f")) == Step("file", "d", "f")
