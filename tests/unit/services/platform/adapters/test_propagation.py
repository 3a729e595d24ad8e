"""Propagation that the host's mounts do not have, tried on mounts of a namespace of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.platform.adapters import propagation
from shared import hostmounts
from shared.contracts.container import MountPoint
from shared.errors import Unknown
from tests.unit.shared.test_hostmounts import in_own_namespace

MS_SLAVE = 1 << 19


def point(source: Path, kind: str) -> MountPoint:
    return MountPoint(type="bind", source=str(source), destination="/m", propagation=kind)


def refused(source: Path, below: Path, kind: str, needed: str) -> None:
    with pytest.raises(Unknown) as failure:
        propagation.check([point(source, kind)])
    assert failure.value.message == f"path {source} is mounted on {below} but it is not a {needed} mount"


def test_a_mount_that_propagates_nothing(tmp_path: Path) -> None:
    def work() -> None:
        hostmounts.mount("t", tmp_path, "tmpfs")
        (tmp_path / "inner").mkdir()
        for kind in ("shared", "rshared"):
            refused(tmp_path / "inner", tmp_path, kind, "shared")
        for kind in ("slave", "rslave"):
            refused(tmp_path / "inner", tmp_path, kind, "shared or slave")
        propagation.check([point(tmp_path, kind) for kind in ("", "private", "rprivate")])

    in_own_namespace(work)


def test_a_link_to_one(tmp_path: Path) -> None:
    def work() -> None:
        (tmp_path / "shared").mkdir()
        (tmp_path / "link").symlink_to(tmp_path)
        hostmounts.ensure_shared(tmp_path / "shared")
        (tmp_path / "shared/link").symlink_to(tmp_path)
        refused(tmp_path / "shared/link", Path(hostmounts.mount_of(tmp_path).point), "rshared", "shared")
        propagation.check([point(tmp_path / "link/shared", "rshared")])

    in_own_namespace(work)


def test_a_shared_mount_serves_all_and_a_slave_slaves(tmp_path: Path) -> None:
    def work() -> None:
        hostmounts.ensure_shared(tmp_path)
        propagation.check([point(tmp_path, kind) for kind in ("shared", "rshared", "slave", "rslave")])
        slave = tmp_path / "slave"
        slave.mkdir()
        hostmounts.mount(str(tmp_path), slave, flags=hostmounts.MS_BIND)
        hostmounts.mount("", slave, flags=MS_SLAVE)
        propagation.check([point(slave, "rslave")])
        refused(slave, slave, "rshared", "shared")

    in_own_namespace(work)


def test_a_missing_source_is_left_to_the_runtime(tmp_path: Path) -> None:
    propagation.check([point(tmp_path / "nowhere", "rshared")])
