"""Images as `images`, `image inspect` and `history` show them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.clock import rfc3339
from shared.contracts.container import ContainerConfig
from shared.contracts.image_store import HistoryEntry, Image, ListReply, Removed
from shared.errors import InvalidArgument
from shared.reference import listed_as

from ..http.version import Version
from .container import DRIVER
from .container_shapes import CONFIG

_ZERO_TIME = "0001-01-01T00:00:00Z"
_CONTAINER_ONLY = (
    "AttachStderr", "AttachStdin", "AttachStdout", "Domainname", "Hostname", "Image", "OpenStdin", "StdinOnce", "Tty",
    "NetworkDisabled", "MacAddress", "StopTimeout",
)  # fmt: skip


def descriptor(image: Image) -> dict[str, Any] | None:
    """The OCI descriptor of the image's manifest, where the image has one."""
    found = image.descriptor
    if found is None:
        return None
    return {"mediaType": found.media_type, "digest": found.digest, "size": found.size}


def config(value: ContainerConfig, version: Version) -> dict[str, Any]:
    """An image's configuration; since 1.50 without what only containers have."""
    shown = CONFIG.dump(value)
    if not value.labels:
        shown["Labels"] = None
    if version >= (1, 50):
        for name in _CONTAINER_ONLY:
            shown.pop(name, None)
    if version >= (1, 52):
        return {name: item for name, item in shown.items() if item}
    return shown


def inspect(image: Image, version: Version) -> dict[str, Any]:
    """The answer of `GET /images/{name}/json`."""
    result: dict[str, Any] = {
        "Id": image.id,
        "RepoTags": image.repo_tags,
        "RepoDigests": image.repo_digests,
        **_created(image, version),
        "Config": config(image.config, version),
        "Architecture": image.platform.architecture,
        "Os": image.platform.os,
        "Size": image.size,
        "GraphDriver": {"Data": image.graph_driver or None, "Name": DRIVER},
        "RootFS": {"Type": "layers", "Layers": image.diff_ids},
        "Metadata": {"LastTagTime": rfc3339(image.last_tagged)},
    }
    if image.platform.variant:
        result["Variant"] = image.platform.variant
    if image.platform.os_version:
        result["OsVersion"] = image.platform.os_version
    return result | _by_version(image, version)


def _created(image: Image, version: Version) -> dict[str, str]:
    """An image without a date of its own has none since 1.44."""
    if image.created:
        return {"Created": image.created}
    return {"Created": _ZERO_TIME} if version < (1, 44) else {}


def _by_version(image: Image, version: Version) -> dict[str, Any]:
    old = {
        "Parent": image.parent,
        "Comment": image.comment or (image.history[-1].comment if image.history else ""),
        "DockerVersion": image.docker_version,
        "Author": image.author,
    }
    result: dict[str, Any] = old if version < (1, 52) else {name: value for name, value in old.items() if value}
    if version < (1, 44):
        result["VirtualSize"] = image.size
    if version < (1, 45):
        result |= {"Container": "", "ContainerConfig": config(ContainerConfig(), version)}
    if version >= (1, 48) and image.descriptor is not None:
        result["Descriptor"] = descriptor(image)
    return result


def summary(image: Image, version: Version, shared_size: int = -1, containers: int = -1) -> dict[str, Any]:
    """One entry of `GET /images/json`."""
    old = version < (1, 43)
    result: dict[str, Any] = {
        "Containers": containers,
        "Created": image.created_ns // 1_000_000_000,
        "Id": image.id,
        "Labels": image.config.labels or None,
        "ParentId": image.parent,
        "RepoDigests": image.repo_digests or (["<none>@<none>"] if old and not image.repo_tags else []),
        "RepoTags": image.repo_tags or (["<none>:<none>"] if old else []),
        "SharedSize": shared_size,
        "Size": image.size,
    }
    if version < (1, 44):
        result["VirtualSize"] = image.size
    if version >= (1, 48) and image.descriptor is not None:
        result["Descriptor"] = descriptor(image)
    return result


def summaries(reply: ListReply, version: Version, uses: Mapping[str, int]) -> list[dict[str, Any]]:
    """The answer of `GET /images/json`. `uses` counts containers by image; told since 1.51."""
    return [
        summary(
            image,
            version,
            shared_size=reply.shared_sizes.get(image.id, -1),
            containers=uses.get(image.id, 0) if version >= (1, 51) else -1,
        )
        for image in reply.images
    ]


def history(image: Image) -> list[dict[str, Any]]:
    """The answer of `GET /images/{name}/history`: the newest step first; only the last one is an image."""
    steps = [_step(entry) for entry in reversed(image.history)]
    if steps:
        steps[0] |= {"Id": image.id, "Tags": image.repo_tags or None}
    return steps


def _step(entry: HistoryEntry) -> dict[str, Any]:
    return {
        "Id": "<missing>",
        "Created": unix_time(entry.created),
        "CreatedBy": entry.created_by,
        "Tags": None,
        "Size": entry.size,
        "Comment": entry.comment,
    }


def unix_time(text: str) -> int:
    """Seconds of an RFC 3339 time as images have it; 0 where an image has none or a wrong one."""
    try:
        return int(datetime.fromisoformat(text).timestamp()) if text else 0
    except (ValueError, OverflowError):
        return 0


def removed(lines: tuple[Removed, ...]) -> list[dict[str, str]]:
    """The answer of `DELETE /images/{name}`."""
    return [{"Untagged": line.untagged} if line.untagged else {"Deleted": line.deleted} for line in lines]


def stands_for(reference: str, image_id: str, image: Image | None) -> bool:
    """Whether the reference that a container was made by still means its image; `image` as it is now, None: gone."""
    if image_id.removeprefix("sha256:").startswith(reference.removeprefix("sha256:")):
        return True
    if image is None:
        return False
    name = listed_as(reference)
    return name in image.repo_tags or name in image.repo_digests


def require_name(name: str) -> str:
    """The name; raises `InvalidArgument` when it is blank."""
    if not name.strip():
        raise InvalidArgument("image name cannot be blank")
    return name
