"""Images made on top of others: of a container's writable layer, of an archive, or of a configuration alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from shared.archive.compression import MEDIA_TYPES
from shared.clock import now_ns, rfc3339
from shared.contracts.common import Descriptor, Platform
from shared.contracts.container import ContainerConfig
from shared.contracts.image_store import ApplyRequest, CommitReply, CommitRequest, Image, ImageSource
from shared.digest import chain_ids, digest_of
from shared.errors import Conflict, InvalidArgument, NotFound

from ..adapters.disk import full_disk_told
from ..domain import archive, cache, child, config, progress
from ..domain import platform as platforms
from ..domain.archive import Manifest, decode
from ..ports import Layer, Packed, Packer, Unpacked, Unpacker
from .images import Images
from .leases import Lease
from .load import Expected, LayerIntake, Say


class Child:
    """An image to be made. Checks the request when made (`InvalidArgument`)."""

    def __init__(self, images: Images, parent: Image | None, source: ImageSource) -> None:
        self._images, self._parent, self._source = images, parent, source
        self._name = child.name_of(source)
        self.config: ContainerConfig = child.config_of(source)
        self.platform = parent.platform if parent else Platform()

    @property
    def name(self) -> str:
        """The name it will have; "" for none."""
        return self._name.familiar if self._name else ""

    @property
    def chain_id(self) -> str:
        """What its own layer stands on."""
        return self._parent.chain_id if self._parent else ""

    def chained(self, diff_id: str) -> str:
        """The chain id of a layer on top."""
        return chain_ids((*(self._parent.diff_ids if self._parent else ()), diff_id))[-1]

    async def make(self, layer: Layer | None, lease: Lease) -> Image:
        """The image, durable and named."""
        source, images = self._source, self._images
        image = child.child(self._parent, source, self.config, layer.diff_id if layer else "", rfc3339(now_ns()))
        image = child.on_platform(image, self.platform)
        document = config.encode(image, source.container, source.container_config)
        blobs = (*self._blobs(), *((layer.blob,) if layer else ()))
        manifest = archive.make_manifest(digest_of(document), len(document), blobs)
        stored = await images.commit(document, manifest, image.parent, lease)
        image_id, labels = stored.image.id, stored.image.config.labels
        images.hold(source.lease, image_id)
        images.tell("create", image_id, labels)
        if self._name is not None:
            await images.name(self._name, image_id)
            images.tell("tag", image_id, labels, self.name)
        return images.catalog.image(image_id)

    def _blobs(self) -> tuple[Descriptor, ...]:
        """The layers below, as the parent's manifest has them."""
        if self._parent is None:
            return ()
        stored = self._images.catalog.stored(self._parent.id)
        document = self._images.content.read(stored.manifest.digest, config.LONGEST)
        manifest: Manifest = decode(document, Manifest, "manifest")
        return tuple(Descriptor(media_type=each.media_type, digest=each.digest, size=each.size)
                     for each in manifest.layers)  # fmt: skip


async def commit(images: Images, packer: Packer, host: Platform, request: CommitRequest) -> CommitReply:
    """An image of a snapshot as it is now, or of a configuration alone."""
    if request.key and (request.parent or request.origin):
        raise InvalidArgument("key, parent: only one of them says what the image is made of")
    if not request.key:
        parent = images.catalog.resolve(request.parent) if request.parent else None
        if request.origin:
            return await _taken_over(images, parent, request)
        made = Child(images, parent, request)
        if parent is None:
            made.platform = platforms.check(request.platform) if request.platform else host
        async with images.lease() as lease:
            return CommitReply(image=await made.make(None, lease), name=made.name)
    stands = images.snapshots.find(request.key)
    if stands is None:
        raise NotFound(f"no snapshot {request.key}")
    if stands[0] not in images.catalog:
        raise NotFound(f"No such image: {stands[0]}")
    made = Child(images, images.catalog.image(stands[0]), request)
    with full_disk_told():
        async with images.lease() as lease, packer.folder() as folder:
            lease.chains.add(stands[1])
            layer = await _layer(images, packer, made, request, folder, lease)
            return CommitReply(image=await made.make(layer, lease), name=made.name)


async def _taken_over(images: Images, parent: Image | None, request: CommitRequest) -> CommitReply:
    """An image of the next step in another's history, as dockerd's `restoreCachedImage` makes it."""
    origin = images.catalog.resolve(request.origin)
    entry, number = cache.next_step(parent, origin)
    said = msgspec.structs.replace(
        request, created=entry.created, created_by=entry.created_by, author=origin.author, comment=entry.comment
    )
    made = Child(images, parent, said)
    made.platform = origin.platform
    if len(origin.history) == len(parent.history if parent else ()) + 1 and made.config == origin.config:
        images.hold(request.lease, origin.id)
        return CommitReply(image=origin)
    async with images.lease() as lease:
        layer = None
        if number >= 0:
            chain_id = made.chained(origin.diff_ids[number])
            lease.chains.add(chain_id)
            layer = images.layers.get(chain_id)
            if layer is None:
                raise NotFound(f"no layer {chain_id}")
        return CommitReply(image=await made.make(layer, lease), name=made.name)


async def _layer(
    images: Images, packer: Packer, made: Child, request: CommitRequest, folder: Path, lease: Lease
) -> Layer | None:
    """The writable layer as one that stays; None for one that says nothing."""
    snapshots = images.snapshots
    stands = snapshots.find(request.key)
    upper = snapshots.take(request.key, folder) if request.release else snapshots.upper(request.key)
    below = images.layers.lineage(made.chain_id)
    packed = await packer.pack(upper, below, folder, move=request.release, latest=request.latest)
    if not request.release and snapshots.find(request.key) is not stands:
        raise Conflict(f"snapshot {request.key} was removed while it was read")
    if packed.empty:
        return None
    await images.content.flush(packed.blob)
    return await _keep(images, made, packed, lease)


async def _keep(images: Images, made: Child, packed: Packed, lease: Lease) -> Layer:
    chain_id = made.chained(packed.digest)
    lease.chains.add(chain_id)
    lease.blobs.add(packed.digest)
    async with images.unpacking(chain_id):
        present = images.layers.get(chain_id)
        if present is not None and images.content.has(present.blob.digest):
            lease.blobs.add(present.blob.digest)
            return present
        if not images.content.has(packed.digest):
            images.content.adopt(packed.blob, packed.digest)
        blob = Descriptor(media_type=MEDIA_TYPES["none"], digest=packed.digest, size=packed.bytes)
        layer = Layer(
            chain_id=chain_id, parent=made.chain_id, diff_id=packed.digest, size=packed.size, blob=blob
        )  # fmt: skip
        unpacked = Unpacked(digest=packed.digest, bytes=packed.bytes, size=packed.size)
        return await images.layers.put(layer, packed.folder, unpacked)


class Applying:
    """An image of one more layer. Checks the request when made (`InvalidArgument`, `NotFound`)."""

    def __init__(self, images: Images, unpacker: Unpacker, host: Platform, request: ApplyRequest) -> None:
        self._images, self._unpacker = images, unpacker
        parent = images.catalog.resolve(request.parent, request.platform) if request.parent else None
        self._made = Child(images, parent, request)
        if parent is None:
            self._made.platform = platforms.check(request.platform) if request.platform else host
        self._diff_ids = parent.diff_ids if parent else ()

    async def run(self, incoming: AsyncIterator[bytes], say: Say) -> None:
        async with self._images.lease() as lease, self._unpacker.session() as session:
            lease.chains.add(self._made.chain_id)
            entry = await session.inflate(incoming)
            intake = LayerIntake(self._images, session, lease, None)
            chain_id = self._made.chained(entry.digest)
            expected = Expected(len(self._diff_ids), entry.digest, chain_id, self._made.chain_id, vouched=False)
            layer = await intake.run(entry, expected)
            image = await self._made.make(layer, lease)
        await say(progress.status(image.id))
