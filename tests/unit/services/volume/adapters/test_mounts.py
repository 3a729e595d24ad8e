"""Mounts of volumes and of their parts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.volume.adapters import mounts
from services.volume.domain.mounting import plan
from shared.errors import InvalidArgument
from tests.support.mounts import mounts_below, unmount_below


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "target"
    made.mkdir()
    yield made
    unmount_below(tmp_path)


def test_a_tmpfs_comes_and_goes(target: Path) -> None:
    mounts.mount(plan({"type": "tmpfs", "device": "tmpfs", "o": "size=64k"}), target)
    assert mounts.is_mounted(target)
    assert os.statvfs(target).f_blocks * os.statvfs(target).f_frsize == 65536
    mounts.unmount(target)
    mounts.unmount(target)
    assert not mounts.is_mounted(target)


def test_a_read_only_bind(target: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").touch()
    mounts.mount(plan({"type": "none", "device": str(source), "o": "bind,ro"}), target)
    assert (target / "file").exists()
    with pytest.raises(OSError, match="Read-only"):
        (target / "new").touch()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"type": "none", "device": "/nonexist", "o": "bind"},
            "failed to mount local volume: mount /nonexist:{target}, flags: 0x1000: no such file or directory",
        ),
        (
            {"type": "tmpfs", "device": "tmpfs", "o": "size=10m,bogus=1"},
            "failed to mount local volume: mount tmpfs:{target}, data: size=10m,bogus=1: invalid argument",
        ),
        (
            {"type": "nothing", "device": "x"},
            "failed to mount local volume: mount x:{target}: no such device",
        ),
    ],
)
def test_failures_in_dockerds_words(target: Path, options: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        mounts.mount(plan(options), target)
    where = f"error while mounting volume '{target}': "
    assert caught.value.message == where + text.replace("{target}", str(target))
    assert not mounts.is_mounted(target)


def test_a_server_that_nobody_knows(target: Path) -> None:
    with pytest.raises(InvalidArgument, match="failed to mount local volume"):
        mounts.mount(plan({"type": "nfs", "device": ":/x", "o": "addr=no-such-host.invalid"}), target)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    made = tmp_path / "volume"
    (made / "sub" / "deep").mkdir(parents=True)
    (made / "sub" / "deep" / "file").write_text("inside")
    (made / "link").symlink_to("/sub/deep")
    (made / "out").symlink_to("/etc")
    (made / "conf").write_text("a file")
    return made


@pytest.mark.parametrize("subpath", ["sub/deep", "link"])
def test_a_part_of_a_volume(volume: Path, target: Path, subpath: str) -> None:
    part = target / "part"
    for _ in range(2):
        mounts.bind_part(volume, subpath, part)
    assert (part / "file").read_text() == "inside"
    assert len(mounts_below(target)) == 1
    mounts.remove_part(part)
    mounts.remove_part(part)
    assert not part.exists()
    assert (volume / "sub" / "deep" / "file").exists()


def test_a_file_is_a_part_as_well(volume: Path, target: Path) -> None:
    mounts.bind_part(volume, "conf", target / "part")
    assert (target / "part").read_text() == "a file"
    mounts.remove_part(target / "part")
    assert (volume / "conf").exists()


@pytest.mark.parametrize("subpath", ["nothing", "out", "out/passwd", "conf/x"])
def test_a_part_that_is_not_in_the_volume(volume: Path, target: Path, subpath: str) -> None:
    with pytest.raises(InvalidArgument, match=f"cannot access path {volume}/{subpath}: "):
        mounts.bind_part(volume, subpath, target / "part")
    assert not (target / "part").exists()
