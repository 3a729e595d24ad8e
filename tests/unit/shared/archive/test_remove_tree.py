from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.archive.remove_tree import remove_tree


def deep(top: Path, levels: int) -> None:
    """A chain of directories longer than any path can be."""
    top.mkdir()
    held = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(levels):
        os.mkdir("d" * 50, dir_fd=held)
        inner = os.open("d" * 50, os.O_RDONLY | os.O_DIRECTORY, dir_fd=held)
        os.close(held)
        held = inner
    os.close(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=held))
    os.close(held)


def test_a_tree_deeper_than_any_path(tmp_path: Path) -> None:
    deep(tmp_path / "top", 3000)
    remove_tree(str(tmp_path / "top"))
    assert list(tmp_path.iterdir()) == []


def test_what_links_point_to_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/out").symlink_to(outside)
    (tree / "a/b/file").touch()
    os.mkfifo(tree / "pipe")
    remove_tree(str(tree))
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (outside / "kept").exists()


@pytest.mark.parametrize("kind", ["file", "link to a directory", "nothing"])
def test_what_is_no_directory(tmp_path: Path, kind: str) -> None:
    if kind == "file":
        (tmp_path / "x").touch()
    elif kind != "nothing":
        (tmp_path / "x").symlink_to("/")
    remove_tree(str(tmp_path / "x"))
    assert not (tmp_path / "x").is_symlink()
    assert not (tmp_path / "x").exists()


def test_beneath_a_held_directory(tmp_path: Path) -> None:
    (tmp_path / "d/e/f").mkdir(parents=True)
    held = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    remove_tree("d", held)
    os.close(held)
    assert list(tmp_path.iterdir()) == []
