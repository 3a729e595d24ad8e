"""Who uses which volume."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.volume.adapters import users as module
from services.volume.adapters.users import Users


def opened(folder: Path) -> Users:
    made = Users(folder)
    made.open()
    return made


def test_users_are_found_again(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.add("v1", "c1")
    first.add("v1", "c2")
    first.add("v2", "c1")
    first.remove("v1", "c2")
    first.remove("v3", "c9")
    again = opened(tmp_path)
    assert again.of("v1") == {"c1"}
    assert sorted(again.volumes("c1")) == ["v1", "v2"]
    assert again.in_use() == {"v1", "v2"}
    again.remove("v1", "c1")
    assert again.of("v1") == frozenset()
    assert opened(tmp_path).in_use() == {"v2"}


def test_users_of_another_boot_count_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(tmp_path).add("v1", "c1")
    boot = tmp_path.parent / f"{tmp_path.name}-boot"
    boot.write_text("another\n")
    monkeypatch.setattr(module, "BOOT_ID", boot)
    assert opened(tmp_path).in_use() == set()
    assert [path.name for path in tmp_path.iterdir()] == ["another"]
