"""Filling an empty volume from the image."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from services.platform.adapters import copyup, rootfs


@pytest.fixture
def root(directory: Path) -> Path:
    made = directory / "root"
    (made / "data/sub").mkdir(parents=True)
    (directory / "volume").mkdir()
    return made


def fill(root: Path, destination: str = "/data") -> Path:
    volume = root.parent / "volume"
    descriptor = rootfs.open_root(root)
    try:
        copyup.fill(descriptor, destination, str(volume))
    finally:
        os.close(descriptor)
    return volume


def test_owners_modes_times_attributes_and_links_are_kept(root: Path) -> None:
    data = root / "data"
    (data / "file").write_bytes(b"x" * 3_000_000)
    os.chown(data / "file", 1000, 50)
    os.chmod(data / "file", 0o4751)
    os.utime(data / "file", ns=(1, 2_000_000_000))
    os.setxattr(data / "file", "user.note", b"kept")
    os.link(data / "file", data / "sub/again")
    (data / "link").symlink_to("/etc/shadow")
    os.mkfifo(data / "pipe", 0o600)
    os.chown(data / "sub", 7, 8)
    os.chmod(data / "sub", 0o2770)
    os.utime(data, ns=(5, 6))
    volume = fill(root)
    status = (volume / "file").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1000, 50, 0o4751)
    assert (status.st_size, status.st_mtime_ns, status.st_nlink) == (3_000_000, 2_000_000_000, 2)
    assert (volume / "sub/again").stat().st_ino == status.st_ino
    assert os.getxattr(volume / "file", "user.note") == b"kept"
    assert os.readlink(volume / "link") == "/etc/shadow"
    assert stat.S_ISFIFO((volume / "pipe").stat().st_mode)
    folder = (volume / "sub").stat()
    assert (folder.st_uid, folder.st_gid, stat.S_IMODE(folder.st_mode)) == (7, 8, 0o2770)
    assert volume.stat().st_mtime_ns == 6


def test_file_capabilities_survive_the_change_of_owner(root: Path) -> None:
    value = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw, effective
    (root / "data/ping").touch()
    os.chown(root / "data/ping", 1000, 0)
    os.setxattr(root / "data/ping", "security.capability", value)
    assert os.getxattr(fill(root) / "ping", "security.capability") == value


def test_a_volume_with_something_in_it_is_left_alone(root: Path) -> None:
    (root / "data/file").touch()
    (root.parent / "volume/mine").touch()
    assert [path.name for path in fill(root).iterdir()] == ["mine"]


@pytest.mark.parametrize("destination", ["/nowhere", "/data/file"])
def test_where_the_image_has_no_folder_nothing_is_copied(root: Path, destination: str) -> None:
    (root / "data/file").touch()
    assert list(fill(root, destination).iterdir()) == []


def test_links_of_the_image_do_not_lead_out_of_it(root: Path) -> None:
    secret = root.parent / "secret"
    secret.mkdir()
    (secret / "key").write_text("host")
    (root / "up").symlink_to("../../../../../../../.." + str(secret))
    (root / "abs").symlink_to(str(secret))
    (root / "data/inner").symlink_to(str(secret))
    for destination in ("/up", "/abs", "/../../secret"):
        assert list(fill(root, destination).iterdir()) == []
    volume = fill(root)
    assert (volume / "inner").is_symlink()
    assert [path.name for path in secret.iterdir()] == ["key"]
