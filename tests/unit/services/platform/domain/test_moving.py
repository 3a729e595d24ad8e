"""What can be moved, and what comes from outside its images."""

from __future__ import annotations

import stat
from typing import Any

import msgspec
import pytest

from services.platform.domain import moving
from services.platform.domain.moving import Entry, External, Manifest
from shared.contracts.migration_driver import MoveHost

MOUNTINFO = r"""437 353 0:43 / / rw,relatime - overlay overlay rw,lowerdir=/a
438 437 0:49 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
439 437 0:50 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
443 442 0:37 /x/y /sys/fs/cgroup/pids ro,nosuid,nodev,noexec,relatime - cgroup cgroup rw,pids
471 438 254:0 /run/crun/.empty-directory /proc/acpi ro,relatime - ext4 /dev/vda rw
542 438 0:6 /null /proc/keys ro,relatime - devtmpfs devtmpfs rw,size=1k
546 438 0:49 /bus /proc/bus ro,nosuid - proc proc rw
600 437 254:0 /srv/a\040b /data/a\040b ro,relatime shared:3 - ext4 /dev/vda rw"""


def test_mounts_are_told_apart() -> None:
    outside = moving.outside(moving.mounts(MOUNTINFO))
    found = {each.point: moving.external(each, (Entry("null", stat.S_IFCHR, 259),), True) for each in outside}
    assert {point: each.kind for point, each in found.items() if each} == {
        "/dev": "tmpfs",
        "/sys/fs/cgroup/pids": "cgroup",
        "/proc/acpi": "mask",
        "/proc/keys": "mask",
        "/data/a b": "bind",
    }
    assert found["/dev"] == External(
        "/dev", "tmpfs", ("nosuid",), "size=65536k,mode=755", (Entry("null", stat.S_IFCHR, 259),)
    )
    assert found["/data/a b"] == External("/data/a b", "bind", ("ro", "relatime"))


def test_a_tmpfs_with_more_in_it_is_left_to_criu() -> None:
    (dev,) = (each for each in moving.mounts(MOUNTINFO) if each.point == "/dev")
    assert moving.external(dev, None, True) is None


def test_a_volume_that_hides_nothing_is_no_mask() -> None:
    line = "1 2 254:0 /v/.empty-directory /data rw - ext4 /dev/vda rw"
    assert not moving.is_mask(moving.mounts(line)[0])
    restored = "1 2 0:30 /platform/workloads/x/empty /proc/acpi ro - tmpfs tmpfs rw"
    assert moving.is_mask(moving.mounts(restored)[0])


def test_the_manifest_is_read_as_it_was_written() -> None:
    told = Manifest(external=(External("/dev", "tmpfs", (), "size=1k", (Entry("fd", 1, target="/proc"),)),))
    assert moving.manifest(msgspec.json.encode(msgspec.to_builtins(told))) == told


def test_sources_of_binds() -> None:
    configured = [
        {"type": "bind", "destination": "/data", "source": "/v/1"},
        {"type": "tmpfs", "destination": "/tmp", "source": "tmpfs"},
    ]
    assert moving.bind_source("/data", configured) == "/v/1"
    assert moving.bind_source("/data/sub/x", configured) == "/v/1/sub/x"
    assert moving.bind_source("/database", configured) == ""
    assert moving.bind_source("/tmp", configured) == ""


def test_places_in_the_root_itself() -> None:
    outside = [
        External(point, "bind") for point in ("/dev", "/dev/shm", "/data", "/data/sub", "/database", "/proc/acpi")
    ]
    assert [each.point for each in moving.in_root(outside)] == ["/dev", "/data", "/database"]


def config(**changes: Any) -> dict[str, Any]:
    kinds = {"network": "/run/netns/x", "pid": "", "ipc": "", "mount": ""} | changes.pop("kinds", {})
    listed = [
        {"type": kind, "path": path} if path else {"type": kind} for kind, path in kinds.items() if path is not None
    ]
    return {"process": {"terminal": False} | changes, "linux": {"namespaces": listed}}


def test_an_ordinary_workload_can_be_moved() -> None:
    assert moving.reasons(config(), "crun", ((0, 0),), False) == []
    assert moving.reasons(config(), "crun", ((999, 999),), False) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"terminal": True}, "terminal"),
        ({"kinds": {"network": None}}, "host's network"),
        ({"kinds": {"network": "/proc/7/ns/net"}}, "another container's network"),
        ({"kinds": {"pid": None}}, "process ids"),
        ({"kinds": {"pid": "/proc/7/ns/pid"}}, "process ids"),
        ({"kinds": {"ipc": "/proc/7/ns/ipc"}}, "shares memory"),
        ({"kinds": {"uts": "/proc/7/ns/uts"}}, "host name"),
    ],
)
def test_what_ties_a_workload_to_its_host(changes: dict[str, Any], reason: str) -> None:
    (told,) = moving.reasons(config(**changes), "crun", ((0, 0),), True)
    assert reason in told


def test_other_runtimes_and_several_users() -> None:
    assert moving.reasons(config(), "runc", ((0, 0),), True) == ["its runtime is runc, not crun"]
    assert "CAP_SYS_RESOURCE" in moving.reasons(config(), "crun", ((0, 0), (999, 999)), False)[0]
    assert moving.reasons(config(), "crun", ((0, 0), (999, 999)), True) == []


HERE = MoveHost(
    criu="4.2.1", architecture="amd64", processor=("avx", "sse"), cgroup_version="1", lazy_pages=True, clustered=True
)


def test_hosts() -> None:
    assert moving.host_reasons(HERE) == []
    assert len(moving.host_reasons(MoveHost())) == 3
    assert "too old" in moving.host_reasons(msgspec.structs.replace(HERE, criu="4.1.1"))[0]
    assert moving.host_reasons(msgspec.structs.replace(HERE, cgroup_version="2")) == []


def test_targets() -> None:
    assert moving.target_reasons(HERE, HERE) == []
    (told,) = moving.target_reasons(HERE, msgspec.structs.replace(HERE, processor=("avx", "avx512f", "sse")))
    assert told == "its processor lacks avx512f"
    other = MoveHost(criu="4.10", architecture="arm64", cgroup_version="2")
    assert len(moving.target_reasons(HERE, other)) == 3


def test_versions() -> None:
    assert moving.version("4.10") > moving.version("4.2.1")
    assert moving.version("git") == ()
