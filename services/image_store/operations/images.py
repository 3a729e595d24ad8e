"""The images of this store: taking in, naming, giving up; disk, catalog and events in step."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import msgspec

from shared import clock
from shared.contracts.common import Descriptor, Platform
from shared.contracts.image_store import PlatformImage, ReferenceRecord
from shared.digest import chain_ids, digest_of
from shared.errors import DataLoss, InvalidArgument, ShoalError
from shared.reference import Reference
from shared.tasks import TaskGroup

from ..domain import archive, config
from ..domain import platform as platforms
from ..domain.catalog import Catalog, Stored
from ..ports import ContentStore, Document, Events, Indexed, LayerStore, References, Snapshotter
from .leases import Lease, Leases

log = logging.getLogger(__name__)


class Images:
    """Content first, then the index, then names: what a crash leaves half-way is unreachable, and swept."""

    def __init__(
        self,
        catalog: Catalog,
        content: ContentStore,
        layers: LayerStore,
        snapshots: Snapshotter,
        references: References,
        events: Events,
        leases: Leases,
        host: Platform,
        tasks: TaskGroup,
    ) -> None:
        self.catalog, self.content, self.layers, self.snapshots = catalog, content, layers, snapshots
        self._references, self._events, self.leases = references, events, leases
        self._writing, self._naming, self._host = asyncio.Lock(), asyncio.Lock(), host
        self._tasks = tasks
        self._unpacking: Counter[str] = Counter()
        self._locks: dict[str, asyncio.Lock] = {}

    def open(self) -> None:
        """Reads the index; an image whose content is damaged is left out and said so."""
        for indexed in self.content.read_index():
            try:
                self.catalog.add(self._read(indexed))
            except ShoalError as error:
                log.error("image with manifest %s cannot be used: %s", indexed.manifest.digest, error)

    def _read(self, indexed: Indexed) -> Stored:
        manifest = self.content.read(indexed.manifest.digest, config.LONGEST)
        config_digest, layer_digests = archive.layer_digests(manifest)
        document = self.content.read(config_digest, config.LONGEST)
        return self._stored(document, indexed, (config_digest, *layer_digests))

    def _stored(self, document: bytes, indexed: Indexed, blobs: Iterable[str]) -> Stored:
        image = config.parse(document)
        chains = chain_ids(image.diff_ids)
        sizes = tuple(layer.size if (layer := self.layers.get(chain)) else 0 for chain in chains)
        image = config.with_sizes(image, sizes)
        index = () if indexed.index is None else (indexed.index.digest,)
        return Stored(
            image=msgspec.structs.replace(image, parent=indexed.parent, descriptor=indexed.manifest),
            manifest=indexed.manifest,
            blobs=frozenset((indexed.manifest.digest, *index, *blobs)),
            chains=chains,
            index=indexed.index,
        )

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Lease]:
        """What is taken in under the lease stays until its end; then only what an image needs."""
        lease = self.leases.begin()
        try:
            yield lease
        finally:
            self.leases.end(lease)
            await self.collect(lease.blobs, lease.chains)

    @asynccontextmanager
    async def lasting(self, name: str, blobs: Iterable[str], chains: Iterable[str]) -> AsyncIterator[None]:
        """What of this content is taken in stays when the work is broken off, also by the end of the process.

        Who goes on under the same name finds it. Content that proves wrong (`InvalidArgument`) is not kept.
        """
        self.leases.keep(name, blobs, chains)
        try:
            yield
        except (InvalidArgument, DataLoss):
            await self.give_up((name,))
            raise
        self.leases.drop(name)

    def hold(self, key: str, image_id: str) -> None:
        """Adds an image to a lease that somebody has asked for; "" is none."""
        if key:
            self.leases.add(key, image_id)

    async def give_up(self, names: Iterable[str] = ()) -> int:
        """Ends kept leases whose time has run out, and those named; the bytes of blobs that only they held."""
        held = self.leases.sweep(names)
        sizes = {blob: self.content.path(blob).stat().st_size for blob in held.blobs if self.content.has(blob)}
        await self.collect(held.blobs, held.chains)
        return sum(size for blob, size in sizes.items() if not self.content.has(blob))

    @asynccontextmanager
    async def unpacking(self, chain_id: str) -> AsyncIterator[None]:
        """One at a time for each layer: who comes second finds the work done."""
        lock = self._locks.setdefault(chain_id, asyncio.Lock())
        self._unpacking[chain_id] += 1
        try:
            async with lock:
                yield
        finally:
            self._unpacking[chain_id] -= 1
            if not self._unpacking[chain_id]:
                del self._unpacking[chain_id], self._locks[chain_id]

    async def collect(self, blobs: Iterable[str], chains: Iterable[str]) -> None:
        """Removes those of the blobs and layers that nothing needs any more."""
        needed = self._needed()
        self.content.delete([blob for blob in blobs if blob not in needed.blobs and self.content.has(blob)])
        await self.layers.delete([chain for chain in chains if chain not in needed.chains])

    def _needed(self) -> Lease:
        """All that images, snapshots and running operations stand on."""
        needed = Lease()
        for stored in self.catalog.all():
            needed.blobs |= stored.blobs
            needed.chains.update(stored.chains)
        leased = self.leases.needed()
        needed.blobs |= leased.blobs
        needed.chains |= leased.chains
        for top in self.snapshots.chains():
            needed.chains.update(self._below(top))
        needed.blobs.update(layer.blob.digest for layer in self.layers.all() if layer.chain_id in needed.chains)
        return needed

    async def collect_below(self, chain_id: str) -> None:
        """Removes the layer and those below it, where nothing else needs them."""
        layers = [layer for chain in self._below(chain_id) if (layer := self.layers.get(chain))]
        await self.collect([layer.blob.digest for layer in layers], [layer.chain_id for layer in layers])

    def _below(self, chain_id: str) -> Iterable[str]:
        while chain_id and (layer := self.layers.get(chain_id)):
            yield chain_id
            chain_id = layer.parent

    async def commit(
        self, document: bytes, manifest: bytes, parent: str, lease: Lease, media_type: str = archive.MANIFEST_TYPE,
        index: Document | None = None,
    ) -> Stored:  # fmt: skip
        """Makes an image of what is in the store already; durable when it returns.

        Of which index it came is kept where the very manifest was here already and comes without one.
        """
        config_digest, layer_digests = archive.layer_digests(manifest)
        lease.blobs.add(digest_of(document))
        await self.content.write(document)
        descriptor = await self._document(manifest, media_type, lease)
        came_of = self._index_of(config_digest, descriptor, lease)
        if index is not None:
            came_of = await self._document(index.data, index.media_type, lease)
        indexed = Indexed(manifest=descriptor, parent=parent, index=came_of)
        stored = self._stored(document, indexed, (config_digest, *layer_digests))
        await self._add(stored)
        return stored

    def _index_of(self, image_id: str, manifest: Descriptor, lease: Lease) -> Descriptor | None:
        known = self.catalog.stored(image_id) if image_id in self.catalog else None
        if known is None or known.index is None or known.manifest.digest != manifest.digest:
            return None
        lease.blobs.add(known.index.digest)
        return known.index

    async def _document(self, data: bytes, media_type: str, lease: Lease) -> Descriptor:
        digest = digest_of(data)
        lease.blobs.add(digest)  # before it is there: the writing outlives whoever is cancelled
        await self.content.write(data)
        return Descriptor(media_type=media_type, digest=digest, size=len(data))

    async def came_of(self, image_id: str, index: Document) -> None:
        """Keeps the index that an image of the store is in as well; the one before is given up."""
        async with self.lease() as lease:
            stored = self.catalog.stored(image_id)
            before = {stored.index.digest} if stored.index else set()
            descriptor = await self._document(index.data, index.media_type, lease)
            blobs = (stored.blobs - before) | {descriptor.digest}
            await self._add(msgspec.structs.replace(stored, index=descriptor, blobs=blobs))

    def index(self, stored: Stored) -> Document | None:
        """The index that an image came of."""
        if stored.index is None:
            return None
        data = self.content.read(stored.index.digest, config.LONGEST)
        return Document(media_type=stored.index.media_type, digest=stored.index.digest, data=data)

    def is_of(self, reference: Reference, index: Descriptor | None) -> bool:
        """Whether all images that have the name came of this index."""
        members = self.catalog.members(reference)
        return index is not None and bool(members) and all(self.catalog.stored(each).index == index for each in members)

    async def _add(self, stored: Stored) -> None:
        async with self._writing:
            present = {each.image.id: each for each in self.catalog.all()}
            before = present.get(stored.image.id)
            writing = self._tasks.start(self._write_index((present | {stored.image.id: stored}).values()), "index")
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:  # what is written has to be known
                await asyncio.wait((writing,))
                if writing.exception() is None:
                    self.catalog.add(stored)
                raise
            self.catalog.add(stored)
        if before is not None:
            await self.collect(before.blobs, ())  # the same image came by another manifest

    async def _write_index(self, images: Iterable[Stored]) -> None:
        await self.content.write_index(
            Indexed(manifest=each.manifest, parent=each.image.parent, index=each.index) for each in images
        )

    async def forget(self, image_id: str) -> tuple[str, ...]:
        """Gives up an image and all that only it needed; the chain ids of removed layers, top first."""
        stored = self.catalog.stored(image_id)
        async with self._writing:
            await self._write_index(each for each in self.catalog.all() if each.image.id != image_id)
            self.catalog.discard(image_id)
        before = [chain for chain in reversed(stored.chains) if self.layers.get(chain)]
        await self.collect(stored.blobs, before)
        self.tell("delete", image_id, stored.image.config.labels)
        return tuple(chain for chain in before if not self.layers.get(chain))

    async def name(self, reference: Reference, *image_ids: str) -> None:
        """Gives a name to an image, or to several of different platforms; whichever had it before lose it."""
        async with self._naming:
            await self._name(reference, image_ids)

    async def join(self, reference: Reference, image_id: str) -> None:
        """Gives the image a name beside those of other platforms that have it; one of its own platform loses it."""
        async with self._naming:
            platform = self._platform(image_id)
            others = [each for each in self.catalog.members(reference) if self._platform(each) != platform]
            await self._name(reference, (*others, image_id))

    async def unname(self, reference: Reference, image_id: str) -> bool:
        """Takes the name from the image; False when images of other platforms keep it."""
        async with self._naming:
            left = [each for each in self.catalog.members(reference) if each != image_id]
            if left:
                await self._name(reference, left)
            else:
                await self._references.delete(str(reference.key()))
        return not left

    async def _name(self, reference: Reference, image_ids: Sequence[str]) -> None:
        pairs = [(self._platform(each), each) for each in image_ids]
        first = platforms.pick(self._host, pairs) or image_ids[0]
        record = ReferenceRecord(
            reference=str(reference.key()),
            image_id=first,
            manifest=self.catalog.stored(first).manifest,
            tagged=clock.now_ns(),
            others=tuple(each for each in image_ids if each != first),
        )
        await self._references.put(record)

    def _platform(self, image_id: str) -> Platform:
        return platforms.normalise(self.catalog.stored(image_id).image.platform)

    def of_name(self, image_id: str) -> tuple[PlatformImage, ...]:
        """The image and those of other platforms for which it stands by one of its names."""
        found = {image_id: None}
        for reference in self.catalog.references(image_id):
            members = self.catalog.members(reference)
            if members[:1] == (image_id,):
                found |= dict.fromkeys(members)
        return tuple(self._of_platform(self.catalog.stored(each)) for each in found)

    def _of_platform(self, stored: Stored) -> PlatformImage:
        content = sum(self.content.path(blob).stat().st_size for blob in stored.blobs if self.content.has(blob))
        return PlatformImage(
            image_id=stored.image.id,
            platform=stored.image.platform,
            manifest=stored.manifest,
            content=content,
            unpacked=stored.image.size,
        )

    def labels(self, image_id: str) -> dict[str, str]:
        return self.catalog.stored(image_id).image.config.labels if image_id in self.catalog else {}

    def tell_pruned(self, freed: int) -> None:
        self._events("prune", "", {"reclaimed": str(freed)})

    def tell(self, action: str, image_id: str, labels: dict[str, str], name: str = "") -> None:
        """A Docker event: attributes are the labels and the name (the id, where Docker gives that)."""
        self._events(action, image_id, {**labels, "name": name or image_id})
