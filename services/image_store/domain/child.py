"""An image made on top of another (dockerd's `NewChildImage`)."""

from __future__ import annotations

import msgspec

from shared.contracts.common import Platform
from shared.contracts.container import ContainerConfig
from shared.contracts.image_store import HistoryEntry, Image, ImageSource
from shared.errors import InvalidArgument
from shared.merge import with_image
from shared.reference import Reference, with_tag
from shared.version import ENGINE_VERSION

from . import changes


def name_of(source: ImageSource) -> Reference | None:
    """The name the image gets; raises `InvalidArgument`."""
    if not source.repository:
        return None
    if "@" in source.repository:
        raise InvalidArgument("cannot import digest reference")
    return with_tag(source.repository, source.tag)


def config_of(source: ImageSource) -> ContainerConfig:
    """Its configuration; raises `InvalidArgument` for a wrong change."""
    config = changes.apply(source.config, source.changes)
    return with_image(config, source.defaults) if source.defaults is not None else config


def child(parent: Image | None, source: ImageSource, config: ContainerConfig, diff_id: str, created: str) -> Image:
    """The image; `diff_id` is its own layer, empty when it has none. `created` where the source does not say."""
    made = source.created or created
    command = source.container_config.cmd if source.container_config else None
    entry = HistoryEntry(
        created=made,
        created_by=source.created_by or " ".join(command or ()),
        author=source.author,
        comment=source.comment,
        empty_layer=not diff_id,
    )
    base = parent or Image(id="")
    return Image(
        id="",
        parent=base.id,
        created=made,
        author=source.author,
        docker_version=ENGINE_VERSION,
        config=config,
        platform=base.platform,
        diff_ids=(*base.diff_ids, diff_id) if diff_id else base.diff_ids,
        history=(*(_without_size(each) for each in base.history), entry),
    )


def on_platform(image: Image, platform: Platform) -> Image:
    """The same for another platform."""
    return msgspec.structs.replace(image, platform=platform)


def _without_size(entry: HistoryEntry) -> HistoryEntry:
    return msgspec.structs.replace(entry, size=0)
