"""`docker load`: an archive comes in by a stream, images come of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from shared.archive.compression import HEAD, MEDIA_TYPES, recognise
from shared.contracts.common import Descriptor, Platform
from shared.contracts.image_store import LoadRequest
from shared.digest import chain_ids, digest_of, short
from shared.errors import InvalidArgument
from shared.reference import Reference
from shared.streams import Channel

from ..domain import archive, config, progress
from ..domain import platform as platforms
from ..domain.archive import Archive, Loadable
from ..ports import Document, Entry, Layer, Session, Unpacked, Unpacker
from .images import Images
from .leases import Lease

Say = Callable[[bytes], Awaitable[None]]


async def received(channel: Channel) -> AsyncIterator[bytes]:
    """What the other side sends, to its end."""
    while data := await channel.read():
        yield data


class Loading:
    """One archive: spooled, understood, unpacked, named."""

    def __init__(self, images: Images, unpacker: Unpacker, host: Platform, request: LoadRequest, say: Say) -> None:
        self._images, self._unpacker, self._host = images, unpacker, host
        self._request, self._say = request, say

    async def run(self, incoming: AsyncIterator[bytes]) -> None:
        asked = self._request.platforms or ((self._request.platform,) if self._request.platform else ())
        wanted: list[Platform | None] = [*map(platforms.check, asked)] or [None]
        async with self._images.lease() as lease, self._unpacker.session() as session:
            table = Archive(await session.spool(incoming))
            given: set[Reference] = set()
            found = [self._images_of(table, session, each) for each in wanted]
            for loadable in archive.merged(each for one in found for each in one):
                await self._load(loadable, session, lease, given)

    def _images_of(self, table: Archive, session: Session, wanted: Platform | None) -> tuple[Loadable, ...]:
        plan = archive.images(table, self._host, wanted)
        try:
            entry = next(plan)
            while True:
                entry = plan.send(session.read(entry, config.LONGEST))
        except StopIteration as finished:
            found: tuple[Loadable, ...] = finished.value
            return found

    async def _load(self, loadable: Loadable, session: Session, lease: Lease, given: set[Reference]) -> None:
        chains = chain_ids(loadable.image.diff_ids)
        lease.chains.update(chains)
        blobs: list[Descriptor] = []
        for number, (entry, chain_id) in enumerate(zip(loadable.layers, chains, strict=True)):
            parent = chains[number - 1] if number else ""
            take = LayerIntake(self._images, session, lease, None if self._request.quiet else self._say)
            expected = Expected(number, loadable.image.diff_ids[number], chain_id, parent)
            layer = await take.run(entry, expected)
            if loadable.manifest is not None:
                await take.keep_blob(entry)
            blobs.append(layer.blob)
        manifest = loadable.manifest or self._manifest(loadable.config, blobs)
        await self._commit(loadable, manifest, lease, given)

    def _manifest(self, document: bytes, blobs: list[Descriptor]) -> Document:
        """For an image that came without one: as it is here already, else made."""
        image_id, content = digest_of(document), self._images.content
        if image_id in self._images.catalog:
            known = self._images.catalog.stored(image_id).manifest
            data = content.read(known.digest, config.LONGEST)
            return Document(media_type=known.media_type, digest=known.digest, data=data)
        data = archive.make_manifest(image_id, len(document), blobs)
        return Document(media_type=archive.MANIFEST_TYPE, digest=digest_of(data), data=data)

    async def _commit(self, loadable: Loadable, manifest: Document, lease: Lease, given: set[Reference]) -> None:
        """`given` are the names that images of this archive got: further ones, of other platforms, join them.

        So do images of the very index that a name stands for already.
        """
        parent = loadable.parent if loadable.parent in self._images.catalog else ""
        stored = await self._images.commit(
            loadable.config, manifest.data, parent, lease, manifest.media_type, loadable.index
        )
        image_id = stored.image.id
        for reference in loadable.tags:
            if reference in given:
                await self._images.join(reference, image_id)
                continue
            given.add(reference)
            if self._images.is_of(reference, stored.index):
                await self._images.join(reference, image_id)
                await self._say(progress.stream(f"Loaded image: {reference.familiar}\n"))
                continue
            before = self._images.catalog.holder(reference)
            if before and image_id not in self._images.catalog.members(reference):
                await self._say(progress.stream(
                    f"The image {reference.familiar} already exists, "
                    f"renaming the old one with ID {before} to empty string\n"
                ))  # fmt: skip
            await self._images.name(reference, image_id)
            await self._say(progress.stream(f"Loaded image: {reference.familiar}\n"))
        if not loadable.tags:
            await self._say(progress.stream(f"Loaded image ID: {image_id}\n"))
        self._images.tell("load", image_id, stored.image.config.labels)


@dataclass(frozen=True)
class Expected:
    """What a layer must be. `vouched`: the digest was given by somebody, not read off the archive itself."""

    number: int
    diff_id: str
    chain_id: str
    parent: str
    vouched: bool = True

    def check(self, digest: str) -> None:
        if digest != self.diff_id:
            raise InvalidArgument(f'invalid diffID for layer {self.number}: expected "{self.diff_id}", got "{digest}"')


class LayerIntake:
    """Takes layers of a session into the store: verified, unpacked once, their blobs kept."""

    def __init__(self, images: Images, session: Session, lease: Lease, say: Say | None) -> None:
        self._images, self._session, self._lease, self._say = images, session, lease, say

    async def run(self, entry: Entry, expected: Expected) -> Layer:
        """The layer, from the store where it is there already; `InvalidArgument` when it is not what it should be."""
        self._lease.chains.add(expected.chain_id)
        async with self._images.unpacking(expected.chain_id):
            present = self._images.layers.get(expected.chain_id)
            if present is not None and self._images.content.has(present.blob.digest):
                self._lease.blobs.add(present.blob.digest)
                return present
            return await self._take(entry, expected)

    async def _take(self, entry: Entry, expected: Expected) -> Layer:
        compression = recognise(self._session.head(entry, HEAD))
        if compression not in MEDIA_TYPES:
            raise InvalidArgument(
                f"layer {expected.number}: {compression} compression is not supported: gzip, zstd or none"
            )
        plain = compression == "none"
        if plain:
            expected.check(entry.digest)
        tree, unpacked = await self._unpack(entry, expected, hashed=not plain)
        if not plain:
            expected.check(unpacked.digest)
        self._adopt(entry)
        blob = Descriptor(media_type=MEDIA_TYPES[compression], digest=entry.digest, size=entry.size)
        layer = Layer(
            chain_id=expected.chain_id,
            parent=expected.parent,
            diff_id=expected.diff_id,
            size=unpacked.size,
            blob=blob,
        )
        return await self._images.layers.put(layer, tree, unpacked)

    async def _unpack(self, entry: Entry, expected: Expected, hashed: bool) -> tuple[Path, Unpacked]:
        """Unpacks while the blob is made durable."""

        async def told(current: int) -> None:
            if self._say is not None:
                await self._say(progress.step("Loading layer", short(expected.diff_id), current, entry.size))

        await told(0)
        unpacked, _ = await asyncio.gather(
            self._session.unpack(entry.file, hashed, not expected.vouched, told),
            self._images.content.flush(self._session.path(entry.file)),
        )
        await told(entry.size)
        return unpacked

    async def keep_blob(self, entry: Entry) -> None:
        """Takes the layer's archive over as a blob, durably."""
        if not self._images.content.has(entry.digest):
            await self._images.content.flush(self._session.path(entry.file))
        self._adopt(entry)

    def _adopt(self, entry: Entry) -> None:
        self._lease.blobs.add(entry.digest)
        if not self._images.content.has(entry.digest):
            self._images.content.adopt(self._session.path(entry.file), entry.digest)
