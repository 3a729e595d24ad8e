"""`docker system df`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.clock import now_ns
from shared.contracts import image_store
from shared.contracts.executor import UsageEntry
from shared.contracts.volume import VolumeSpec

from ..http.version import Version
from . import container as containers_of
from . import image as images_of
from . import volume as volumes_of
from .status import is_running, status_text

Known = Sequence[Any]
"""Containers as the read model has them: `spec` and `status`."""


def _containers(known: Known, sizes: Mapping[str, UsageEntry], version: Version) -> list[dict[str, Any]]:
    now = now_ns()
    return [
        containers_of.summary(one.spec, one.status, version, status_text(one.status, now))
        | containers_of.sizes(sizes.get(one.spec.id))
        for one in known
    ]


def _images(known: Known, reply: image_store.ListReply, version: Version) -> list[dict[str, Any]]:
    uses: dict[str, int] = {}
    for one in known:
        uses[one.spec.image_id] = uses.get(one.spec.image_id, 0) + 1
    return [
        images_of.summary(image, version, reply.shared_sizes.get(image.id, 0), uses.get(image.id, 0))
        for image in reply.images
    ]


def volume_entry(spec: VolumeSpec, users: int, size: int) -> dict[str, Any]:
    """`users`: containers that have it; `size` in bytes, -1: not known."""
    return volumes_of.show(spec) | {"UsageData": {"RefCount": users, "Size": size}}


@dataclass(frozen=True)
class Used:
    """All there is: containers with their sizes, images, bytes of layers, entries of volumes."""

    containers: Known
    container_sizes: Mapping[str, UsageEntry]
    images: image_store.ListReply
    layers: int
    volumes: list[dict[str, Any]]


def disk_usage(kinds: frozenset[str], used: Used, version: Version, verbose: bool) -> dict[str, Any]:
    """The answer of `GET /system/df`; from 1.52 on with the newer totals, with `verbose` only these."""
    lists: dict[str, list[dict[str, Any]]] = {}
    old: dict[str, Any] = {}
    if "image" in kinds:
        old["LayersSize"] = used.layers
        lists["Images"] = _images(used.containers, used.images, version)
    if "container" in kinds:
        lists["Containers"] = _containers(used.containers, used.container_sizes, version)
    if "volume" in kinds:
        lists["Volumes"] = used.volumes
    if "build-cache" in kinds:
        lists["BuildCache"] = []
    old |= lists
    if version < (1, 42):
        old["BuilderSize"] = 0
    if version < (1, 52):
        return old
    new = _totals(lists, used.layers, used.containers, verbose)
    return new if verbose else old | new


def _totals(lists: Mapping[str, list[dict[str, Any]]], layers: int, known: Known, verbose: bool) -> dict[str, Any]:
    running = {one.spec.id for one in known if is_running(one.status)}
    result: dict[str, Any] = {}
    if (images := lists.get("Images")) is not None:
        free = sum(item["Size"] - max(item["SharedSize"], 0) for item in images if not item["Containers"])
        active = sum(1 for item in images if item["Containers"])
        result["ImageUsage"] = _total(images, active, layers, free, verbose)
    if (containers := lists.get("Containers")) is not None:
        used = sum(item.get("SizeRw", 0) for item in containers)
        free = sum(item.get("SizeRw", 0) for item in containers if item["Id"] not in running)
        active = sum(1 for item in containers if item["Id"] in running)
        result["ContainerUsage"] = _total(containers, active, used, free, verbose)
    if (volumes := lists.get("Volumes")) is not None:
        used = sum(max(item["UsageData"]["Size"], 0) for item in volumes)
        free = sum(max(item["UsageData"]["Size"], 0) for item in volumes if not item["UsageData"]["RefCount"])
        active = sum(1 for item in volumes if item["UsageData"]["RefCount"])
        result["VolumeUsage"] = _total(volumes, active, used, free, verbose)
    if (cache := lists.get("BuildCache")) is not None:
        result["BuildCacheUsage"] = _total(cache, 0, 0, 0, verbose)
    return result


def _total(items: list[dict[str, Any]], active: int, total: int, free: int, verbose: bool) -> dict[str, Any]:
    counts: dict[str, Any] = {
        "TotalCount": len(items), "ActiveCount": active, "TotalSize": total, "Reclaimable": max(free, 0)
    }  # fmt: skip
    return counts | ({"Items": items} if verbose else {})
