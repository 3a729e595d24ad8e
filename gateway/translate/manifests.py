"""The images of several platforms that one name has, as `manifests=1` asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.contracts.common import Descriptor, Platform
from shared.contracts.image_store import Image, PlatformImage


def manifest_summaries(image: Image, uses: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """Docker's `ImageManifestSummary` of each. `uses`: the containers of an image by its id."""
    return [_summary(each, uses.get(each.image_id, [])) for each in image.manifests]


def _summary(image: PlatformImage, containers: list[str]) -> dict[str, Any]:
    found, platform = image.manifest, _platform(image.platform)
    return {
        "ID": found.digest,
        "Descriptor": descriptor(found, image.platform),
        "Available": True,
        "Size": {"Content": image.content, "Total": image.content + image.unpacked},
        "Kind": "image",
        "ImageData": {"Platform": platform, "Containers": containers, "Size": {"Unpacked": image.unpacked}},
    }  # fmt: skip


def descriptor(manifest: Descriptor, platform: Platform) -> dict[str, Any]:
    """The OCI descriptor of the manifest for a platform."""
    return {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": manifest.size,
        "platform": _platform(platform),
    }


def _platform(platform: Platform) -> dict[str, str]:
    variant = {"variant": platform.variant} if platform.variant else {}
    return {"architecture": platform.architecture, "os": platform.os, **variant}
