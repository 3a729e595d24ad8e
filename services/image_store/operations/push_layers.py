"""Blobs from the store into a repository: those that are there already, or next door, are not sent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from shared.contracts.common import Descriptor
from shared.digest import short
from shared.reference import Reference

from ..domain import pushing
from ..domain.progress import Step
from ..domain.pushing import PushLayer
from ..ports import Repository
from .images import Images
from .transfers import Tell, Transfers, retried


class Uploads:
    """At most so many at once; a broken one is tried `attempts` times, after `delay` seconds times the attempt."""

    def __init__(self, images: Images, transfers: Transfers, most: int, attempts: int, delay: int) -> None:
        self._images, self._transfers = images, transfers
        self._slots = asyncio.Semaphore(most)
        self._attempts, self._delay = attempts, delay

    async def run(self, repository: Repository, reference: Reference, layer: PushLayer, tell: Tell) -> Descriptor:
        """The layer as the registry has it. Who pushes the same there meanwhile shares the work."""
        key = f"push {repository.url} {reference.path} {layer.blob.digest}"
        return await self._transfers.join(key, lambda say: self._one(repository, reference, layer, say), tell)

    async def _one(self, repository: Repository, reference: Reference, layer: PushLayer, tell: Tell) -> Descriptor:
        name = short(layer.diff_id)
        if self._slots.locked():
            await tell(Step(name, "Waiting"))
        async with self._slots:
            return await retried(
                lambda: self._attempt(repository, reference, layer, tell), self._attempts, self._delay, tell, name
            )

    async def _attempt(self, repository: Repository, reference: Reference, layer: PushLayer, tell: Tell) -> Descriptor:
        name, known = short(layer.diff_id), self._known(layer)
        if known is not None and await repository.has(known.digest):
            await tell(Step(name, "Layer already exists"))
            return known
        location, source = await self._begin(repository, reference, layer, known)
        if not location and known is not None:
            await tell(Step(name, f"Mounted from {source}"))
            return known
        sent = await self._send(repository, location, layer, tell)
        await tell(Step(name, "Pushed"))
        return sent

    def _known(self, layer: PushLayer) -> Descriptor | None:
        """The blob as it goes out, where that is known before it has gone out once."""
        if not layer.compress:
            return layer.blob
        packed = self._images.content.packed(layer.blob.digest)
        return None if packed is None else msgspec.structs.replace(packed, media_type=layer.media_type)

    async def _begin(
        self, repository: Repository, reference: Reference, layer: PushLayer, known: Descriptor | None
    ) -> tuple[str, str]:
        """Where to send it, or "" when it could be mounted, and from where."""
        if known is not None:
            for source in pushing.sources(self._images.catalog, reference, {known.digest, layer.blob.digest}):
                location = await repository.mount(known.digest, source)
                if not location:
                    return "", source
        return await repository.begin(), ""

    async def _send(self, repository: Repository, location: str, layer: PushLayer, tell: Tell) -> Descriptor:
        async def told(passed: int) -> None:
            await tell(Step(short(layer.diff_id), "Pushing", passed, layer.blob.size))

        file = self._images.content.path(layer.blob.digest)
        if not layer.compress:
            await repository.put(location, layer.blob, file, told)
            return layer.blob
        packed = await repository.put_packed(location, file, told)
        self._images.content.remember_packed(layer.blob.digest, packed)
        return msgspec.structs.replace(packed, media_type=layer.media_type)

    async def small(self, repository: Repository, blob: Descriptor) -> None:
        """A blob without progress, such as a configuration."""

        async def attempt() -> None:
            if not await repository.has(blob.digest):
                await repository.put(await repository.begin(), blob, self._file(blob), _quiet)

        async def tell(step: Step) -> None:
            pass

        await retried(attempt, self._attempts, self._delay, tell, "")

    def _file(self, blob: Descriptor) -> Path:
        return self._images.content.path(blob.digest)


async def _quiet(passed: int) -> None:
    pass
