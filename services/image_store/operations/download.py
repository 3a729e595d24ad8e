"""Blobs from a source into the store: each once, whoever wants it, tried again where that may help."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from shared.contracts.common import Descriptor
from shared.digest import short

from ..domain.progress import Step
from ..domain.registry_answers import RegistryError
from ..ports import BlobSource, ContentStore, Partials
from .transfers import Tell, Transfers, retried


class Growth:
    """How much of a blob's file there is, for one who reads along.

    `begun`: there is a file to read; `ended`: it is whole, or never will be; `restarted`: what was read may be wrong.
    """

    def __init__(self) -> None:
        self._there = 0
        self.ended = False
        self._changed = asyncio.Event()
        self.restarted = False
        self.begun = asyncio.Event()

    def reach(self, size: int) -> None:
        self.restarted = self.restarted or size < self._there
        self._there = max(self._there, size)
        self._changed.set()
        self.begun.set()

    def end(self) -> None:
        """It is complete, or will never be."""
        self.ended = True
        self._changed.set()
        self.begun.set()

    async def sizes(self) -> AsyncIterator[int]:
        """Each size when it is reached, to the end."""
        told = 0
        while True:
            self._changed.clear()
            if self._there > told:
                told = self._there
                yield told
            elif self.ended:
                return
            else:
                await self._changed.wait()


class Downloads:
    """At most so many at once; a broken one is tried `attempts` times, after `delay` seconds times the attempt."""

    def __init__(
        self,
        content: ContentStore,
        partials: Partials,
        transfers: Transfers,
        most: int,
        attempts: int,
        delay: int,
    ) -> None:
        self._content, self._partials, self._transfers = content, partials, transfers
        self._slots = asyncio.Semaphore(most)
        self._attempts, self._delay = attempts, delay

    def file(self, blob: Descriptor) -> Path:
        """Where the blob is while it comes."""
        return self._partials.path(blob.digest)

    async def run(self, blob: Descriptor, source: BlobSource, growth: Growth, tell: Tell) -> None:
        """Returns when the blob's file is whole, verified and durable, and the store has it.

        The caller has it in a lease. Raises `RegistryError` when that cannot be.
        """

        async def told(step: Step) -> None:
            if step.total:
                growth.reach(step.current)
            await tell(step)

        try:
            await self._transfers.join(f"blob {blob.digest}", lambda say: self._download(blob, source, say), told)
            growth.reach(blob.size)  # nobody has told of what was there in full
        finally:
            growth.end()

    async def _download(self, blob: Descriptor, source: BlobSource, tell: Tell) -> None:
        name, file = short(blob.digest), self.file(blob)
        if self._content.has(blob.digest):
            return await tell(Step(name, "Download complete"))
        if self._slots.locked():
            await tell(Step(name, "Waiting"))

        async def told(size: int) -> None:
            await tell(Step(name, "Downloading", size, blob.size))

        try:
            async with self._slots:
                await retried(lambda: source.fetch(blob, file, told), self._attempts, self._delay, tell, name)
        except RegistryError:
            self._partials.discard(blob.digest, empty=True)
            raise
        await tell(Step(name, "Verifying Checksum"))
        await self._content.flush(file)
        self._content.adopt(file, blob.digest)
        self._partials.discard(blob.digest)
        return await tell(Step(name, "Download complete"))
