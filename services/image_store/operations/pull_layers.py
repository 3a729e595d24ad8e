"""The content of one image: configuration and layers, taken in while they come."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from shared.contracts.common import Descriptor
from shared.errors import InvalidArgument

from ..domain import manifests
from ..domain.digest import chain_ids, hex_of, short
from ..domain.manifests import Manifest, Pullable
from ..domain.progress import Step
from ..ports import ContentSource, Layer, Session, Unpacked, Unpacker
from .download import Downloads, Growth
from .images import Images
from .transfers import Tell


@dataclass
class Part:
    """One layer on its way."""

    number: int
    blob: Descriptor
    diff_id: str
    chain_id: str
    parent: str
    growth: Growth = field(default_factory=Growth)

    @property
    def name(self) -> str:
        return short(self.blob.digest)


class LayerPull:
    """Takes the image of a manifest into the store. What is being pulled is leased: nobody collects it.

    What has come stays for a day when it is broken off, so that the next one goes on from there.
    """

    def __init__(
        self, images: Images, unpacker: Unpacker, downloads: Downloads, source: ContentSource, manifest: Manifest
    ) -> None:
        self._images, self._unpacker, self._downloads = images, unpacker, downloads
        self._source, self._manifest = source, manifest
        self._session: Session

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
                await self._images.commit(pullable.config, document.data, "", lease, document.media_type)

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
        """All come at once, as far as there is room; they are unpacked in their order, as they come."""
        if not parts:
            return
        try:
            async with asyncio.TaskGroup() as group:
                downloads = {part.number: group.create_task(self._fetch(part, tell)) for part in parts}
                group.create_task(self._unpack_all(parts, downloads, tell))
        except BaseExceptionGroup as failed:
            raise first_error(failed) from None

    async def _fetch(self, part: Part, tell: Tell) -> None:
        if self._images.content.has(part.blob.digest):
            part.growth.reach(part.blob.size)
            part.growth.end()
            await tell(Step(part.name, "Download complete"))
            return
        await self._downloads.run(part.blob, self._source, part.growth, tell)

    async def _unpack_all(self, parts: list[Part], downloads: dict[int, asyncio.Task[None]], tell: Tell) -> None:
        async with AsyncExitStack() as sessions:
            await self._new_session(sessions)
            for part in parts:
                async with self._images.unpacking(part.chain_id):
                    if self._images.layers.get(part.chain_id) is None:
                        await self._unpack(part, downloads[part.number], sessions, tell)
                await downloads[part.number]
                await tell(Step(part.name, "Pull complete"))

    async def _new_session(self, sessions: AsyncExitStack) -> None:
        self._session = await sessions.enter_async_context(self._unpacker.session())

    async def _unpack(self, part: Part, download: asyncio.Task[None], sessions: AsyncExitStack, tell: Tell) -> None:
        """Unpacks while the blob comes. What began anew meanwhile may have given wrong bytes: then once more."""
        await part.growth.begun.wait()
        if part.growth.ended:
            await download
        try:
            await self._put(part, await self._read_along(part, download, tell))
        except InvalidArgument:
            await download  # that it broke off is the better reason
            if not part.growth.restarted:
                raise
            await self._new_session(sessions)  # one is of no use after an error
            await self._put(part, await self._read_along(part, download, tell))

    async def _put(self, part: Part, done: tuple[Path, Unpacked]) -> None:
        tree, unpacked = done
        if unpacked.digest != part.diff_id:
            raise InvalidArgument(
                "failed to register layer: layers from manifest don't match image configuration: "
                f'layer {part.number}: expected "{part.diff_id}", got "{unpacked.digest}"'
            )
        layer = Layer(
            chain_id=part.chain_id, parent=part.parent, diff_id=part.diff_id, size=unpacked.size, blob=part.blob
        )
        await self._images.layers.put(layer, tree, unpacked)

    async def _read_along(self, part: Part, download: asyncio.Task[None], tell: Tell) -> tuple[Path, Unpacked]:
        """Tells how far it is once the whole blob has come."""

        async def told(current: int) -> None:
            if download.done():
                await tell(Step(part.name, "Extracting", current, part.blob.size))

        file = self._session.link(self._file(part))
        try:
            done = await self._session.unpack(file, hashed=True, progress=told, growth=part.growth.sizes())
        except InvalidArgument as error:
            raise InvalidArgument(f"failed to register layer: {error.message}") from None
        await download
        await tell(Step(part.name, "Extracting", part.blob.size, part.blob.size))
        return done

    def _file(self, part: Part) -> Path:
        content = self._images.content
        return content.path(part.blob.digest) if content.has(part.blob.digest) else self._downloads.file(part.blob)


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
