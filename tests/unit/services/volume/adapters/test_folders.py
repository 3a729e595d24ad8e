"""Folders of volumes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.volume.adapters.folders import Folders, is_empty


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def test_a_folder_is_made_once_and_keeps_what_its_user_did(folders: Folders) -> None:
    umask = os.umask(0o077)
    folders.make("v1")
    os.umask(umask)
    data = folders.data("v1")
    assert data.stat().st_mode & 0o777 == 0o755
    (data / "file").touch()
    data.chmod(0o700)
    folders.make("v1")
    assert data.stat().st_mode & 0o777 == 0o700


def test_set_aside_a_volume_is_gone_for_good(folders: Folders) -> None:
    folders.make("v1")
    (folders.data("v1") / "file").touch()
    aside = folders.set_aside("v1")
    assert not folders.data("v1").exists()
    assert folders.found() == {aside: True}
    assert folders.set_aside("v1") == aside
    folders.discard(aside)
    folders.discard(aside)
    assert folders.set_aside("v1") == ""
    assert folders.found() == {}


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the folders that were synced."""
    names: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: names.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
    )
    return names


def test_a_folder_is_synced_before_it_is_written_to_and_only_then(
    folders: Folders, tmp_path: Path, synced: list[str]
) -> None:
    folders.make("v1")
    assert synced == []
    folders.make_durable("v1")
    folders.make_durable("v1")
    assert synced == ["v1", tmp_path.name]
    folders.set_aside("v1")
    folders.make("v1")
    folders.make_durable("v1")
    assert synced == ["v1", tmp_path.name] * 2


def test_a_volume_with_content_is_given_up_durably(folders: Folders, tmp_path: Path, synced: list[str]) -> None:
    folders.make("empty")
    assert folders.set_aside("empty") == ""
    assert folders.found() == {}
    assert synced == []
    folders.make("full")
    (folders.data("full") / "file").touch()
    folders.set_aside("full")
    assert synced == [tmp_path.name]


def test_what_is_found(folders: Folders, tmp_path: Path) -> None:
    folders.make("empty")
    folders.make("full")
    (folders.data("full") / ".hidden").touch()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "not-data").touch()
    (tmp_path / "bare").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "full")
    assert folders.found() == {"empty": False, "full": True, "odd": True, "bare": False}
    assert is_empty(folders.data("empty"))
    assert is_empty(tmp_path / "nothing")
    assert folders.age("full") > 0


def test_sizes_count_each_file_once_and_follow_no_link(folders: Folders, tmp_path: Path) -> None:
    folders.make("v1")
    data = folders.data("v1")
    (tmp_path / "outside").write_bytes(b"x" * 1000)
    (data / "a").write_bytes(b"x" * 100)
    os.link(data / "a", data / "b")
    (data / "sub").mkdir()
    (data / "sub" / "c").write_bytes(b"x" * 10)
    (data / "sub" / "out").symlink_to(tmp_path)
    os.mkfifo(data / "fifo")
    assert folders.size("v1") == 110 + len(str(tmp_path))
    assert folders.size("nothing") == 0


def test_discarding_follows_no_link(folders: Folders, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "precious").touch()
    folders.make("v1")
    (folders.data("v1") / "link").symlink_to(outside)
    folders.discard("v1")
    assert (outside / "precious").exists()
