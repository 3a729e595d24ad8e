"""Propagation that the host's mounts do not have, tried on mounts of a namespace of the test's own."""

from __future__ import annotations

from pathlib import Path

from services.platform.adapters import propagation
from shared import hostmounts
from shared.contracts.container import MountPoint
from shared.errors import Unknown
from tests.unit.shared.test_hostmounts import in_own_namespace

MS_SLAVE = 1 << 19


def refusal(source: Path, kind: str) -> str:
    """What is said of it; empty where it may be."""
    point = MountPoint(type="bind", source=str(source), destination="/m", propagation=kind)
    try:
        propagation.check([point])
    except Unknown as error:
        return error.message
    return ""


def told(source: Path, below: str | Path, needed: str) -> str:
    return f"path {source} is mounted on {below} but it is not a {needed} mount"


def test_a_mount_that_propagates_nothing(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    needed = {"shared": "shared", "rshared": "shared", "slave": "shared or slave", "rslave": "shared or slave"}

    def work() -> None:
        hostmounts.mount("t", tmp_path, "tmpfs")
        inner.mkdir()
        found = {kind: refusal(inner, kind) for kind in (*needed, "", "private", "rprivate")}
        assert {kind: text for kind, text in found.items() if text} == {
            kind: told(inner, tmp_path, words) for kind, words in needed.items()
        }

    in_own_namespace(work)


def test_a_link_is_where_it_leads(tmp_path: Path) -> None:
    shared = tmp_path / "shared"

    def work() -> None:
        hostmounts.ensure_shared(shared)
        (tmp_path / "in").symlink_to(shared)
        (shared / "out").symlink_to(tmp_path)
        assert refusal(tmp_path / "in", "rshared") == ""
        below = hostmounts.mount_of(tmp_path).point
        assert refusal(shared / "out", "rshared") == told(shared / "out", below, "shared")

    in_own_namespace(work)


def test_a_shared_mount_serves_all_and_a_slave_slaves(tmp_path: Path) -> None:
    slave = tmp_path / "slave"

    def work() -> None:
        hostmounts.ensure_shared(tmp_path)
        assert {refusal(tmp_path, kind) for kind in ("shared", "rshared", "slave", "rslave")} == {""}
        slave.mkdir()
        hostmounts.mount(str(tmp_path), slave, flags=hostmounts.MS_BIND)
        hostmounts.mount("", slave, flags=MS_SLAVE)
        assert refusal(slave, "rslave") == ""
        assert refusal(slave, "rshared") == told(slave, slave, "shared")

    in_own_namespace(work)


def test_a_missing_source_is_left_to_the_runtime(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere", "rshared") == ""
