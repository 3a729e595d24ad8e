from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from services.image_store.adapters import disk
from shared.errors import ResourceExhausted


def test_a_file_is_replaced_at_once(tmp_path: Path) -> None:
    target, temporary = tmp_path / "target", tmp_path / "temporary"
    for content in (b"one", b"another"):
        disk.write_file(target, content, temporary)
        assert target.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "target").write_bytes(b"before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        disk.write_file(tmp_path / "target", b"x", tmp_path / "temporary")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"target": b"before"}


def test_files_directories_and_file_systems_are_synced(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    disk.sync(tmp_path / "f")
    disk.sync(tmp_path)
    disk.sync_filesystem(tmp_path)
    with pytest.raises(FileNotFoundError):
        disk.sync(tmp_path / "gone")


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic links"):
        disk.write_file(tmp_path / "x", b"", tmp_path / "link")


def test_only_a_full_disk_is_told_as_one() -> None:
    with pytest.raises(ResourceExhausted, match="cannot write: No space left on device"), disk.full_disk_told():
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(PermissionError), disk.full_disk_told():
        raise PermissionError(errno.EPERM, "no")
