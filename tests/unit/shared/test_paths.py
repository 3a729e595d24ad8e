"""Paths inside a stranger's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.paths import open_in_root


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "outside").write_text("secret")
    inside = tmp_path / "root"
    (inside / "folder").mkdir(parents=True)
    (inside / "folder" / "file").write_text("inside")
    (inside / "up").symlink_to("../outside")
    (inside / "absolute").symlink_to("/folder/file")
    descriptor = os.open(inside, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("path", ["folder/file", "absolute", "/folder/file", "../folder/file"])
def test_what_is_inside_is_found(root: int, path: str) -> None:
    with os.fdopen(open_in_root(root, path, os.O_RDONLY)) as file:
        assert file.read() == "inside"


@pytest.mark.parametrize("path", ["up", "../outside", "nothing"])
def test_nothing_leads_out(root: int, path: str) -> None:
    with pytest.raises(FileNotFoundError, match=path):
        open_in_root(root, path)


def test_the_root_itself(root: int) -> None:
    descriptor = open_in_root(root, "")
    assert os.fstat(descriptor).st_ino == os.fstat(root).st_ino
    os.close(descriptor)
