"""`docker import`: a flat root file system becomes an image of one layer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from shared.clock import now_ns, rfc3339
from shared.contracts.common import Platform
from shared.contracts.container import ContainerConfig
from shared.contracts.image_store import HistoryEntry, Image, ImportRequest
from shared.digest import digest_of
from shared.errors import InvalidArgument
from shared.fetch import Coming, fetching
from shared.reference import Reference, with_tag

from ..domain import archive, changes, config, progress
from ..domain import platform as platforms
from ..ports import Unpacker
from .images import Images
from .load import Expected, LayerIntake, Say

PROGRESS_BYTES = 1 << 19


class Importing:
    """Checks the request when made (`InvalidArgument`), so that a wrong one fails before any byte is read."""

    def __init__(self, images: Images, unpacker: Unpacker, host: Platform, request: ImportRequest) -> None:
        self._images, self._unpacker = images, unpacker
        self._message, self._url = request.message, request.source
        self._platform = platforms.check(request.platform) if request.platform else host
        if self._platform.os != "linux":
            raise InvalidArgument(f"operating system is not supported: {self._platform.os}")
        self._name = _name(request)
        self._config = changes.apply(ContainerConfig(), request.changes)

    async def run(self, incoming: AsyncIterator[bytes], say: Say) -> None:
        """Names the image when all of it is there; raises `InvalidArgument` for what is no archive."""
        source: AbstractAsyncContextManager[AsyncIterator[bytes]] = nullcontext(incoming)
        if self._url:
            source = _fetched(self._url, say)
        async with source as coming, self._images.lease() as lease, self._unpacker.session() as session:
            entry = await session.inflate(coming)
            intake = LayerIntake(self._images, session, lease, None)
            layer = await intake.run(entry, Expected(0, entry.digest, entry.digest, "", vouched=False))
            document = config.encode(self._image(entry.digest))
            manifest = archive.make_manifest(digest_of(document), len(document), (layer.blob,))
            stored = await self._images.commit(document, manifest, "", lease)
        image_id, labels = stored.image.id, stored.image.config.labels
        if self._name is not None:
            await self._images.name(self._name, image_id)
            self._images.tell("tag", image_id, labels, self._name.familiar)
        self._images.tell("import", image_id, labels)
        await say(progress.status(image_id))

    def _image(self, diff_id: str) -> Image:
        created = rfc3339(now_ns())
        return Image(
            id="",
            comment=self._message,
            created=created,
            config=self._config,
            platform=self._platform,
            diff_ids=(diff_id,),
            history=(HistoryEntry(created=created, comment=self._message),),
        )


@asynccontextmanager
async def _fetched(url: str, say: Say) -> AsyncIterator[AsyncIterator[bytes]]:
    async with fetching(url) as coming:
        await say(progress.status(f"Downloading from {url}"))
        yield _shown(coming, say)


async def _shown(coming: Coming, say: Say) -> AsyncIterator[bytes]:
    done = shown = 0
    async for data in coming.chunks:
        yield data
        done += len(data)
        if done - shown >= PROGRESS_BYTES:
            shown = done
            await say(progress.step("Importing", "", done, coming.size))


def _name(request: ImportRequest) -> Reference | None:
    if not request.repository:
        return None
    if "@" in request.repository:
        raise InvalidArgument("cannot import digest reference")
    return with_tag(request.repository, request.tag)
