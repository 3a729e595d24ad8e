from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from shared.config import Settings
from tools.supervisor import reserve


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The disk, with as many free blocks as a test says."""
    disk = SimpleNamespace(f_bavail=4 * reserve.BYTES, f_frsize=1)
    monkeypatch.setattr(os, "statvfs", lambda path: disk)
    return disk


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=str(tmp_path))


def test_it_is_kept_while_there_is_room_and_given_up_when_there_is_none(
    settings: Settings, free: SimpleNamespace, tmp_path: Path
) -> None:
    reserve.settle(settings)
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= reserve.BYTES
    for left in (reserve.BYTES, 0, 2 * reserve.BYTES - 1, 2 * reserve.BYTES):
        free.f_bavail = left
        reserve.settle(settings)
        assert (tmp_path / "reserve").exists() is (left in (reserve.BYTES, 2 * reserve.BYTES)), left


def test_with_it_there_is_room_for_a_broker(settings: Settings, free: SimpleNamespace, tmp_path: Path) -> None:
    reserve.settle(settings)
    free.f_bavail = reserve.LEAST
    assert reserve.has_room(settings)
    assert not (tmp_path / "reserve").exists()
    free.f_bavail = reserve.LEAST - 1
    assert not reserve.has_room(settings)


@pytest.mark.usefixtures("free")
def test_without_one_the_engine_starts_all_the_same(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, offset: int, length: int) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    reserve.settle(settings)
    assert list(tmp_path.iterdir()) == []
