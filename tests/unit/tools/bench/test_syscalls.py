import os
from pathlib import Path

import pytest

from tools.bench.syscalls import mount_overlay, new_network_namespace, unmount


def test_overlay(tmp_path: Path) -> None:
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    (tmp_path / "lower/file").write_text("below")
    mount_overlay(tmp_path / "merged", tmp_path / "lower", tmp_path / "upper", tmp_path / "work")
    try:
        assert (tmp_path / "merged/file").read_text() == "below"
        (tmp_path / "merged/file").write_text("changed")
    finally:
        unmount(tmp_path / "merged")
    assert (tmp_path / "lower/file").read_text() == "below"
    assert (tmp_path / "upper/file").read_text() == "changed"


def test_network_namespace_is_kept_and_apart(tmp_path: Path) -> None:
    seen = []
    new_network_namespace(tmp_path / "netns", lambda handle, netlink: seen.append(os.fstat(handle).st_ino))
    try:
        assert seen == [(tmp_path / "netns").stat().st_ino]
        assert seen[0] != Path("/proc/self/ns/net").stat().st_ino
    finally:
        unmount(tmp_path / "netns")


def test_errors_name_the_path(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="unmount"):
        unmount(tmp_path / "none")
