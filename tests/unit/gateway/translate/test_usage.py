from __future__ import annotations

from typing import Any

from gateway.http.version import Version
from gateway.translate.usage import disk_usage
from gateway.views import Container
from shared.contracts import image_store, volume
from shared.contracts.container import ContainerConfig, ContainerSpec, ContainerStatus, HostConfig, MountPoint
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
    mounts=(MountPoint(type="volume", name="v", destination="/v"),),
)


def usage(minor: int, kinds: frozenset[str] = ALL, verbose: bool = False) -> dict[str, Any]:
    return disk_usage(
        kinds,
        [Container(SPEC, ContainerStatus(state="exited"), "n")],
        image_store.ListReply(images=(BUSYBOX,)),
        image_store.UsageReply(layers=2_000_000),
        {"c": UsageEntry(id="c", rw_bytes=5, rootfs_bytes=9)},
        volume.ListReply(volumes=(volume.VolumeSpec(name="v"), volume.VolumeSpec(name="w"))),
        volume.UsageReply(sizes={"v": 7, "w": 8}),
        Version(1, minor),
        verbose,
    )


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
