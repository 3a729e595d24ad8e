from __future__ import annotations

from gateway.translate.manifests import manifest_summaries
from shared.contracts.common import Descriptor, Platform
from shared.contracts.image_store import Image, PlatformImage


def test_each_platform_with_its_sizes_and_containers() -> None:
    manifest = Descriptor(media_type="m", digest="sha256:1", size=3)
    arm = Platform(architecture="arm", variant="v7")
    image = Image(
        id="a", manifests=(PlatformImage(image_id="a", platform=arm, manifest=manifest, content=10, unpacked=30),)
    )
    platform = {"architecture": "arm", "os": "linux", "variant": "v7"}
    assert manifest_summaries(image, {"a": ["c1"], "b": ["c2"]}) == [
        {
            "ID": "sha256:1",
            "Descriptor": {"mediaType": "m", "digest": "sha256:1", "size": 3, "platform": platform},
            "Available": True,
            "Size": {"Content": 10, "Total": 40},
            "Kind": "image",
            "ImageData": {"Platform": platform, "Containers": ["c1"], "Size": {"Unpacked": 30}},
        }
    ]
    assert manifest_summaries(image, {})[0]["ImageData"]["Containers"] == []
