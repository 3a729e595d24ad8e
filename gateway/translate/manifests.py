"""The images of several platforms that one name has, as `manifests=1` asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.contracts.common import Platform
from shared.contracts.image_store import Image, PlatformImage


def manifest_summaries(image: Image, uses: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """Docker's `ImageManifestSummary` of each. `uses`: the containers of an image by its id."""
    return [_summary(each, uses.get(each.image_id, [])) for each in image.manifests]


def _summary(image: PlatformImage, containers: list[str]) -> dict[str, Any]:
    found, platform = image.manifest, _platform(image.platform)
    return {
        "ID": found.digest,
        "Descriptor": {
            "mediaType": found.media_type, "digest": found.digest, "size": found.size, "platform": platform
        },
        "Available": True,
        "Size": {"Content": image.content, "Total": image.content + image.unpacked},
        "Kind": "image",
        "ImageData": {"Platform": platform, "Containers": containers, "Size": {"Unpacked": image.unpacked}},
    }  # fmt: skip


def _platform(platform: Platform) -> dict[str, str]:
    variant = {"variant": platform.variant} if platform.variant else {}
    return {"architecture": platform.architecture, "os": platform.os, **variant}
