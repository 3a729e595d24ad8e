from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.executor.adapters.host_paths import LocalHostPaths
from shared.errors import InvalidArgument


def test_exists(tmp_path: Path) -> None:
    paths = LocalHostPaths(tmp_path / "marker", tmp_path)
    assert paths.exists(str(tmp_path))
    assert not paths.exists(str(tmp_path / "no"))
    assert not paths.exists("/\0")


def test_directories_are_made(tmp_path: Path) -> None:
    paths = LocalHostPaths(tmp_path / "marker", tmp_path)
    paths.make_directory(str(tmp_path / "a" / "b"))
    paths.make_directory(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o755
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidArgument) as caught:
        paths.make_directory(str(tmp_path / "file" / "x"))
    path = tmp_path / "file" / "x"
    assert caught.value.message == (f"error while creating mount source path '{path}': mkdir {path}: not a directory")


def test_an_engine_starts_once_for_each_parent_and_each_boot(tmp_path: Path) -> None:
    marker = tmp_path / "run" / "marker"
    assert LocalHostPaths(marker, tmp_path).engine_started()
    assert not LocalHostPaths(marker, tmp_path).engine_started()
    marker.write_text(str(os.getppid() + 1))
    assert LocalHostPaths(marker, tmp_path).engine_started()
    marker.unlink()
    assert LocalHostPaths(marker, tmp_path).engine_started()


def test_folders(tmp_path: Path) -> None:
    paths = LocalHostPaths(tmp_path / "marker", tmp_path)
    for name in ("b", "a", ".hidden"):
        (tmp_path / "in" / name).mkdir(parents=True)
    (tmp_path / "in" / "file").touch()
    assert paths.folders(str(tmp_path / "in")) == ["a", "b"]
    assert paths.folders(str(tmp_path / "in/file")) is paths.folders(str(tmp_path / "none")) is None
    paths.remove_tree(str(tmp_path / "in"))
    paths.remove_tree(str(tmp_path / "in"))
    assert not (tmp_path / "in").exists()


def test_free_space_is_that_of_the_state_also_before_there_is_any(tmp_path: Path) -> None:
    disk = os.statvfs("/proc")
    assert disk.f_bavail == 0
    assert LocalHostPaths(tmp_path / "marker", Path("/proc/none/state")).free_bytes() == 0
    assert LocalHostPaths(tmp_path / "marker", tmp_path / "later/state").free_bytes() > 0
