"""`docker load`: an archive comes in by a stream, images come of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from shared.contracts.common import Descriptor, Platform
from shared.contracts.image_store import LoadRequest
from shared.errors import InvalidArgument
from shared.streams import Channel

from ..domain import archive, config, progress
from ..domain import platform as platforms
from ..domain.archive import Archive, Loadable
from ..domain.compression import HEAD, MEDIA_TYPES, recognise
from ..domain.digest import chain_ids, digest_of, short
from ..ports import Entry, Layer, Session, Unpacker
from .images import Images, Lease

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
        wanted = platforms.check(self._request.platform) if self._request.platform else None
        async with self._images.lease() as lease, self._unpacker.session() as session:
            table = Archive(await session.spool(incoming))
            for loadable in self._images_of(table, session, wanted):
                await self._load(loadable, session, lease)

    def _images_of(self, table: Archive, session: Session, wanted: Platform | None) -> tuple[Loadable, ...]:
        plan = archive.images(table, self._host, wanted)
        try:
            entry = next(plan)
            while True:
                entry = plan.send(session.read(entry, config.LONGEST))
        except StopIteration as finished:
            found: tuple[Loadable, ...] = finished.value
            return found

    async def _load(self, loadable: Loadable, session: Session, lease: Lease) -> None:
        chains = chain_ids(loadable.image.diff_ids)
        lease.chains.update(chains)
        blobs: list[Descriptor] = []
        for number, (entry, chain_id) in enumerate(zip(loadable.layers, chains, strict=True)):
            parent = chains[number - 1] if number else ""
            take = LayerIntake(self._images, session, lease, None if self._request.quiet else self._say)
            layer = await take.run(entry, chain_id, parent, loadable.image.diff_ids[number], number)
            if loadable.manifest is not None:
                await take.keep_blob(entry)
            blobs.append(layer.blob)
        manifest = loadable.manifest or archive.make_manifest(digest_of(loadable.config), len(loadable.config), blobs)
        await self._commit(loadable, manifest, lease)

    async def _commit(self, loadable: Loadable, manifest: bytes, lease: Lease) -> None:
        parent = loadable.parent if loadable.parent in self._images.catalog else ""
        stored = await self._images.commit(loadable.config, manifest, parent, lease)
        image_id = stored.image.id
        for reference in loadable.tags:
            before = self._images.catalog.holder(reference)
            if before and before != image_id:
                await self._say(progress.stream(
                    f"The image {reference.familiar} already exists, "
                    f"renaming the old one with ID {before} to empty string\n"
                ))  # fmt: skip
            await self._images.name(reference, image_id)
            await self._say(progress.stream(f"Loaded image: {reference.familiar}\n"))
        if not loadable.tags:
            await self._say(progress.stream(f"Loaded image ID: {image_id}\n"))
        self._images.tell("load", image_id, stored.image.config.labels)


class LayerIntake:
    """Takes layers of a session into the store: verified, unpacked once, their blobs kept."""

    def __init__(self, images: Images, session: Session, lease: Lease, say: Say | None) -> None:
        self._images, self._session, self._lease, self._say = images, session, lease, say

    async def run(self, entry: Entry, chain_id: str, parent: str, diff_id: str, number: int) -> Layer:
        """The layer, from the store where it is there already; `InvalidArgument` when it is not what it should be."""
        self._lease.chains.add(chain_id)
        async with self._images.unpacking(chain_id):
            present = self._images.layers.get(chain_id)
            if present is not None and self._images.content.has(present.blob.digest):
                self._lease.blobs.add(present.blob.digest)
                return present
            return await self._unpack(entry, chain_id, parent, diff_id, number)

    async def _unpack(self, entry: Entry, chain_id: str, parent: str, diff_id: str, number: int) -> Layer:
        compression = recognise(self._session.head(entry, HEAD))
        if compression not in MEDIA_TYPES:
            raise InvalidArgument(f"layer {number}: {compression} compression is not supported: gzip, zstd or none")
        plain = compression == "none"
        if plain:
            _check(number, diff_id, entry.digest)

        async def told(current: int) -> None:
            if self._say is not None:
                await self._say(progress.step("Loading layer", short(diff_id), current, entry.size))

        await told(0)
        tree, unpacked = await self._session.unpack(entry.file, not plain, told)
        if not plain:
            _check(number, diff_id, unpacked.digest)
        await told(entry.size)
        await self.keep_blob(entry)
        blob = Descriptor(media_type=MEDIA_TYPES[compression], digest=entry.digest, size=entry.size)
        layer = Layer(chain_id=chain_id, parent=parent, diff_id=diff_id, size=unpacked.size, blob=blob)
        return await self._images.layers.put(layer, tree, unpacked)

    async def keep_blob(self, entry: Entry) -> None:
        """Takes the layer's archive over as a blob, durably."""
        self._lease.blobs.add(entry.digest)
        if not self._images.content.has(entry.digest):
            await self._images.content.flush(self._session.path(entry.file))
            self._images.content.adopt(self._session.path(entry.file), entry.digest)


def _check(number: int, expected: str, actual: str) -> None:
    if actual != expected:
        raise InvalidArgument(f'invalid diffID for layer {number}: expected "{expected}", got "{actual}"')
