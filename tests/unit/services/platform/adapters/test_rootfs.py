"""Root file systems: mounted, looked into without leaving."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.platform.adapters import rootfs
from services.platform.domain.users import Ids
from shared import hostmounts
from shared.contracts.common import Mount
from shared.errors import InvalidArgument


@pytest.fixture
def root(directory: Path) -> Path:
    made = directory / "root"
    (made / "etc").mkdir(parents=True)
    return made


def look(root: Path, user: str) -> Ids:
    descriptor = rootfs.open_root(root)
    try:
        return rootfs.lookup(descriptor, user, ())
    finally:
        os.close(descriptor)


def test_users_by_the_roots_own_tables(root: Path) -> None:
    (root / "etc/passwd").write_text("me:x:5:6::/me:/bin/sh\n")
    assert look(root, "me") == Ids(5, 6, (6,), "/me")


def test_without_tables_there_are_only_numbers(root: Path) -> None:
    assert look(root, "7:8").uid == 7
    with pytest.raises(InvalidArgument, match="unable to find user root"):
        look(root, "root")


def test_a_table_that_leads_to_the_host_is_read_inside(root: Path) -> None:
    (root.parent / "host-passwd").write_text("evil:x:0:0::/:\n")
    (root / "etc/passwd").symlink_to("../../host-passwd")
    with pytest.raises(InvalidArgument, match="unable to find user evil"):
        look(root, "evil")
    (root / "host-passwd").write_text("inside:x:3:4::/:\n")
    assert look(root, "inside").uid == 3


def test_what_is_no_file_does_not_hold_up(root: Path) -> None:
    os.mkfifo(root / "etc/passwd")
    os.mknod(root / "etc/group", 0o20666, os.makedev(1, 5))  # /dev/zero has no end
    assert look(root, "1").uid == 1


def test_the_mark_is_left_inside(root: Path) -> None:
    descriptor = rootfs.open_root(root)
    (root / ".dockerenv").symlink_to(root.parent / "outside")
    rootfs.mark(descriptor)
    assert not (root.parent / "outside").exists()
    (root / ".dockerenv").unlink()
    rootfs.mark(descriptor)
    rootfs.mark(descriptor)
    assert (root / ".dockerenv").stat().st_size == 0
    os.close(descriptor)


@pytest.mark.parametrize("count", [1, 60])
def test_overlays_of_any_number_of_layers(directory: Path, count: int) -> None:
    layers = [directory / f"{'long-name-' * 8}{number}" for number in range(count)]
    for number, layer in enumerate(layers):
        layer.mkdir()
        (layer / str(number)).touch()
    for name in ("upper", "work", "target"):
        (directory / name).mkdir()
    options = (f"lowerdir={':'.join(map(str, layers))}", f"upperdir={directory}/upper", f"workdir={directory}/work")
    rootfs.mount_root([Mount(type="overlay", source="overlay", options=options)], directory / "target")
    try:
        assert len(list((directory / "target").iterdir())) == count
        (directory / "target/new").touch()
        assert (directory / "upper/new").exists()
    finally:
        rootfs.unmount_root(directory / "target")
    rootfs.unmount_root(directory / "target")
    assert list((directory / "target").iterdir()) == []


def test_a_folder_may_be_the_root_and_read_only(directory: Path, root: Path) -> None:
    target = directory / "target"
    target.mkdir()
    rootfs.mount_root([Mount(type="bind", source=str(root), options=("rbind", "ro"))], target)
    try:
        assert (target / "etc").is_dir()
        with pytest.raises(OSError, match="Read-only"):
            (target / "x").touch()
    finally:
        hostmounts.unmount(target)


def test_what_cannot_be_mounted_is_refused(directory: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"mounting nosuchfs at .*: No such device"):
        rootfs.mount_root([Mount(type="nosuchfs", source="x")], directory)


def test_where_a_link_leads_to_what_is_missing_a_place_is_made(root: Path) -> None:
    for name, leads in (("a", "/deep/folder"), ("etc/rel", "file"), ("up", "../../there"), ("loop", "loop")):
        (root / name).symlink_to(leads)
    inside = rootfs.open_root(root)
    try:
        assert [rootfs.leads_nowhere(inside, place) for place in ("/a", "/etc/rel", "/etc", "/new")] == [
            True, True, False, False,
        ]  # fmt: skip
        rootfs.make_place(inside, "/a", True)
        rootfs.make_place(inside, "/etc/rel", False)
        rootfs.make_place(inside, "/up/x", True)
        with pytest.raises(OSError, match="symbolic links"):
            rootfs.make_place(inside, "/loop", True)
    finally:
        os.close(inside)
    assert (root / "deep/folder").is_dir()
    assert (root / "etc/file").read_bytes() == b""
    assert (root / "there/x").is_dir()


def test_places_to_mount_on_are_made_inside(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    inside = tmp_path / "root"
    (inside / "etc").mkdir(parents=True)
    (inside / "link").symlink_to("/../../outside")
    (inside / "etc/there").write_text("stays")
    root = rootfs.open_root(inside)
    try:
        rootfs.make_place(root, "/a/b/c", True)
        rootfs.make_place(root, "/etc/file", False)
        rootfs.make_place(root, "/etc/there", False)
        rootfs.make_place(root, "/link/x", True)
    finally:
        os.close(root)
    assert (inside / "a/b/c").is_dir()
    assert (inside / "etc/file").read_bytes() == b""
    assert (inside / "etc/there").read_text() == "stays"
    assert (inside / "outside/x").is_dir()
    assert not any((tmp_path / "outside").iterdir())
