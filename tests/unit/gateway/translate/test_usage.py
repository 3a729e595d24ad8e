from __future__ import annotations

from typing import Any

from gateway.http.version import Version
from gateway.translate.usage import Used, disk_usage, volume_entry
from gateway.views import Container
from shared.contracts import image_store, volume
from shared.contracts.container import ContainerConfig, ContainerSpec, ContainerStatus, HostConfig
from shared.contracts.executor import UsageEntry
from tests.support.simulators.image_store import BUSYBOX

ALL = frozenset(("container", "image", "volume", "build-cache"))
SPEC = ContainerSpec(
    id="c",
    name="web",
    created=1,
    config=ContainerConfig(),
    host_config=HostConfig(),
    image_id=BUSYBOX.id,
)


USED = Used(
    containers=[Container(SPEC, ContainerStatus(state="exited"), "n")],
    container_sizes={"c": UsageEntry(id="c", rw_bytes=5, rootfs_bytes=9)},
    images=image_store.ListReply(images=(BUSYBOX,)),
    layers=2_000_000,
    volumes=[
        volume_entry(volume.VolumeSpec(name="v"), users=1, size=7),
        volume_entry(volume.VolumeSpec(name="w"), users=0, size=8),
    ],
)


def usage(minor: int, kinds: frozenset[str] = ALL, verbose: bool = False) -> dict[str, Any]:
    return disk_usage(kinds, USED, Version(1, minor), verbose)


def test_the_lists_of_old() -> None:
    data = usage(41)
    assert (data["LayersSize"], data["BuilderSize"], data["BuildCache"]) == (2_000_000, 0, [])
    assert (data["Images"][0]["Containers"], data["Containers"][0]["SizeRw"]) == (1, 5)
    assert [one["UsageData"] for one in data["Volumes"]] == [
        {"RefCount": 1, "Size": 7},
        {"RefCount": 0, "Size": 8},
    ]


def test_only_what_was_asked_for() -> None:
    data = usage(51, frozenset(("volume",)))
    assert data.keys() == {"Volumes"}
    assert usage(52, frozenset(("container",))).keys() == {"Containers", "ContainerUsage"}


def test_the_newer_totals() -> None:
    data = usage(52)
    assert data["VolumeUsage"] == {"TotalCount": 2, "ActiveCount": 1, "TotalSize": 15, "Reclaimable": 8}
    assert data["ContainerUsage"] == {"TotalCount": 1, "ActiveCount": 0, "TotalSize": 5, "Reclaimable": 5}
    assert data["ImageUsage"] == {"TotalCount": 1, "ActiveCount": 1, "TotalSize": 2_000_000, "Reclaimable": 0}
    assert "Images" in data
    verbose = usage(52, verbose=True)
    assert "Images" not in verbose
    assert len(verbose["ImageUsage"]["Items"]) == 1
