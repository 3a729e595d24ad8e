"""The images of several hosts as those of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from shared.contracts.image_store import Image, ListReply


def merged(told: Sequence[ListReply]) -> ListReply:
    """Each image once, with the names that it has on any host. A name that means something else on an earlier host is
    left out, as it is there that who uses the name finds it.
    """
    if len(told) == 1:
        return told[0]
    meant: dict[str, str] = {}
    images: dict[str, Image] = {}
    for reply in told:
        for image in reply.images:
            names = [name for name in (*image.repo_tags, *image.repo_digests) if meant.get(name, image.id) == image.id]
            meant |= dict.fromkeys(names, image.id)
            present = images.get(image.id, replace(image, repo_tags=(), repo_digests=(), manifests=()))
            images[image.id] = replace(
                present,
                repo_tags=_joined(present.repo_tags, (name for name in image.repo_tags if name in names)),
                repo_digests=_joined(present.repo_digests, (name for name in image.repo_digests if name in names)),
                manifests=tuple({one.image_id: one for one in (*image.manifests, *present.manifests)}.values()),
            )
    shared = {id: size for reply in reversed(told) for id, size in reply.shared_sizes.items()}
    newest = sorted(images.values(), key=lambda image: image.created_ns, reverse=True)
    return ListReply(images=tuple(newest), shared_sizes=shared)


def _joined(one: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))
