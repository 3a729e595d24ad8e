"""What the image store says of an image."""

from __future__ import annotations

from shared.contracts.base import Message
from shared.contracts.common import Descriptor, Platform
from shared.contracts.container import ContainerConfig


class HistoryEntry(Message, frozen=True):
    """OCI image-spec `history`; `created` as in the image, RFC 3339."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False
    size: int = 0


class PlatformImage(Message, frozen=True):
    """One of the images that have a name, each for another platform; bytes of its content and of what it unpacks to."""

    image_id: str
    platform: Platform
    manifest: Descriptor
    content: int = 0
    unpacked: int = 0


class Image(Message, frozen=True):
    """One image. `id` is the digest of its configuration (`sha256:<hex>`); times RFC 3339 as in the image."""

    id: str
    repo_tags: tuple[str, ...] = ()
    repo_digests: tuple[str, ...] = ()
    parent: str = ""
    comment: str = ""
    created: str = ""
    created_ns: int = 0
    author: str = ""
    docker_version: str = ""
    config: ContainerConfig = ContainerConfig()
    platform: Platform = Platform()
    size: int = 0
    diff_ids: tuple[str, ...] = ()
    chain_id: str = ""
    history: tuple[HistoryEntry, ...] = ()
    last_tagged: int = 0
    descriptor: Descriptor | None = None
    graph_driver: dict[str, str] = {}
    manifests: tuple[PlatformImage, ...] = ()
    """Itself and the images of other platforms that share a name with it, where asked for."""
