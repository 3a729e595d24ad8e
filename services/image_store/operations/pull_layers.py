"""The content of one image: configuration and layers, taken in while they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from shared.contracts.common import Descriptor
from shared.digest import chain_ids, hex_of, short
from shared.errors import InvalidArgument

from ..domain import manifests
from ..domain.manifests import Chosen, Pullable
from ..domain.progress import Step
from ..ports import Budget, ContentSource, Layer, Session, Unpacked, Unpacker
from .download import Downloads, Growth
from .images import Images
from .transfers import Tell

MOST_UNPACKERS = 3
"""Layers of an image that are unpacked at once, each by a process of its own."""


@dataclass
class Part:
    """One layer on its way."""

    number: int
    blob: Descriptor
    diff_id: str
    chain_id: str
    parent: str
    growth: Growth = field(default_factory=Growth)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        return short(self.blob.digest)


class Helpers:
    """The helpers of one pull. Who asks first gets one first; after an error one is of no use to anybody else."""

    def __init__(self, unpacker: Unpacker, stack: AsyncExitStack) -> None:
        self._unpacker, self._stack, self._budget = unpacker, stack, Budget()
        self._slots = asyncio.Semaphore(MOST_UNPACKERS)
        self._idle: list[Session] = []

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """As long as it is one of those who unpack."""
        async with self._slots:
            yield

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Within a turn."""
        session = (
            self._idle.pop()
            if self._idle
            else await self._stack.enter_async_context(self._unpacker.session(self._budget))
        )
        yield session
        self._idle.append(session)


class LayerPull:
    """Takes the image of a manifest into the store. What is being pulled is leased: nobody collects it.

    What has come stays for a day when it is broken off, so that the next one goes on from there.
    """

    def __init__(
        self, images: Images, unpacker: Unpacker, downloads: Downloads, source: ContentSource, chosen: Chosen
    ) -> None:
        self._images, self._unpacker, self._downloads = images, unpacker, downloads
        self._source, self._manifest, self._index = source, chosen.manifest, chosen.index

    async def run(self, tell: Tell) -> None:
        """Raises `InvalidArgument` for content that is not what the manifest says, and what `Downloads` raises."""
        async with self._images.lease() as lease:
            pullable = await self._configuration()
            parts = _parts(pullable)
            lease.chains.update(part.chain_id for part in parts)
            lease.blobs.update(part.blob.digest for part in parts)
            async with self._images.lasting(lease_name(self._manifest.document.digest), lease.blobs, lease.chains):
                await self._layers([part for part in parts if not await self._is_here(part, tell)], tell)
                document = self._manifest.document
                await self._images.commit(pullable.config, document.data, "", lease, document.media_type, self._index)

    async def _configuration(self) -> Pullable:
        config = self._manifest.config
        content = self._images.content
        data = (
            content.read(config.digest, config.size) if content.has(config.digest) else await self._source.small(config)
        )
        return manifests.complete(self._manifest, data)

    async def _is_here(self, part: Part, tell: Tell) -> bool:
        here = self._images.layers.get(part.chain_id) is not None and self._images.content.has(part.blob.digest)
        await tell(Step(part.name, "Already exists" if here else "Pulling fs layer"))
        return here

    async def _layers(self, parts: list[Part], tell: Tell) -> None:
        """All come at once, as far as there is room, and are unpacked while they come, several at once."""
        if not parts:
            return
        try:
            async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
                helpers, below = Helpers(self._unpacker, stack), None
                for part in parts:
                    download = group.create_task(self._fetch(part, tell))
                    group.create_task(self._extract(part, below, download, helpers, tell))
                    below = part
        except BaseExceptionGroup as failed:
            raise first_error(failed) from None

    async def _fetch(self, part: Part, tell: Tell) -> None:
        if self._images.content.has(part.blob.digest):
            part.growth.reach(part.blob.size)
            part.growth.end()
            await tell(Step(part.name, "Download complete"))
            return
        await self._downloads.run(part.blob, self._source, part.growth, tell)

    async def _extract(
        self, part: Part, below: Part | None, download: asyncio.Task[None], helpers: Helpers, tell: Tell
    ) -> None:
        """From the first byte to a layer of the store. Layers below have their turn earlier, so none waits for ever."""
        async with helpers.turn(), self._images.unpacking(part.chain_id):
            if self._images.layers.get(part.chain_id) is None:
                await self._unpack(part, below, download, helpers, tell)
        await download
        await _when_done(below)
        await tell(Step(part.name, "Pull complete"))
        part.done.set()

    async def _unpack(
        self, part: Part, below: Part | None, download: asyncio.Task[None], helpers: Helpers, tell: Tell
    ) -> None:
        """Unpacks while the blob comes. What began anew meanwhile may have given wrong bytes: then once more."""
        await part.growth.begun.wait()
        if part.growth.ended:
            await download
        try:
            async with helpers.session() as session:
                await self._put(part, below, await self._read_along(session, part, download, tell))
        except InvalidArgument:
            await download  # that it broke off is the better reason
            if not part.growth.restarted:
                raise
            async with helpers.session() as session:
                await self._put(part, below, await self._read_along(session, part, download, tell))

    async def _put(self, part: Part, below: Part | None, done: tuple[Path, Unpacked]) -> None:
        tree, unpacked = done
        if unpacked.digest != part.diff_id:
            raise InvalidArgument(
                "failed to register layer: layers from manifest don't match image configuration: "
                f'layer {part.number}: expected "{part.diff_id}", got "{unpacked.digest}"'
            )
        layer = Layer(
            chain_id=part.chain_id, parent=part.parent, diff_id=part.diff_id, size=unpacked.size, blob=part.blob
        )
        await _when_done(below)
        await self._images.layers.put(layer, tree, unpacked)

    async def _read_along(
        self, session: Session, part: Part, download: asyncio.Task[None], tell: Tell
    ) -> tuple[Path, Unpacked]:
        """Tells how far it is once the whole blob has come."""

        async def told(current: int) -> None:
            if download.done():
                await tell(Step(part.name, "Extracting", current, part.blob.size))

        file = session.link(self._file(part))
        try:
            done = await session.unpack(file, hashed=True, progress=told, growth=part.growth.sizes())
        except InvalidArgument as error:
            raise InvalidArgument(f"failed to register layer: {error.message}") from None
        await download
        await tell(Step(part.name, "Extracting", part.blob.size, part.blob.size))
        return done

    def _file(self, part: Part) -> Path:
        content = self._images.content
        return content.path(part.blob.digest) if content.has(part.blob.digest) else self._downloads.file(part.blob)


async def _when_done(below: Part | None) -> None:
    if below is not None:
        await below.done.wait()


def lease_name(digest: str) -> str:
    """The lease under which the image of a manifest is taken in."""
    return f"image-{hex_of(digest)}"


def _parts(pullable: Pullable) -> list[Part]:
    diff_ids = pullable.image.diff_ids
    chains = chain_ids(diff_ids)
    return [
        Part(number, blob, diff_ids[number], chains[number], chains[number - 1] if number else "")
        for number, blob in enumerate(pullable.manifest.layers)
    ]


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The reason, out of what it brought about."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            return first_error(error)
        if not isinstance(error, asyncio.CancelledError):
            return error
    return group.exceptions[0]
