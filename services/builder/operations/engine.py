"""What all steps of one build share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from shared import clock
from shared.contracts.builder import BUILDS, BuildRecord, BuildRequest
from shared.contracts.common import Platform
from shared.contracts.image_store import ApplyRequest, CommitRequest, Image
from shared.dockerfile.instructions import Stage
from shared.errors import InvalidArgument, NotFound, ShoalError
from shared.service import Kernel

from ..adapters.containers import Containers
from ..adapters.mount_files import MountFiles
from ..adapters.spool import Spools
from ..adapters.store import Store
from ..domain import output
from ..domain.auth import credentials
from ..domain.output import Console
from ..domain.platforms import host_platform
from ..domain.steps import State
from ..domain.tree import Tree
from .console import Screen

EPOCH = "SOURCE_DATE_EPOCH"


def _turns() -> asyncio.Semaphore:
    """For the steps of one build that are done at the same time: many of them wait for a network."""
    return asyncio.Semaphore(max(4, len(os.sched_getaffinity(0))))


@dataclass
class Build:
    """One build on its way. `results`: the last state of each stage, when it is done; `turns`: whose step is done now.

    `busy`, `locks`: the caches that steps of any build have mounted now; one as often as it is mounted.
    """

    id: str
    request: BuildRequest
    kernel: Kernel
    spools: Spools
    store: Store
    containers: Containers
    screen: Screen
    files: MountFiles
    busy: list[str] = field(default_factory=list)
    locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    stages: Sequence[Stage] = ()
    context: Tree | None = None
    results: list[asyncio.Future[State]] = field(default_factory=list)
    turns: asyncio.Semaphore = field(default_factory=_turns)
    console: Console = field(init=False)
    cache_from: tuple[str, ...] = ()
    host: Platform = field(default_factory=host_platform)
    _recorded: bool = False
    _bases: dict[tuple[str, Platform | None], asyncio.Task[Image | ShoalError]] = field(default_factory=dict)

    @property
    def platform(self) -> Platform:
        """What images are made for that stand on nothing."""
        return self.request.platform or self.host

    @property
    def limits(self) -> tuple[int, int, int]:
        settings = self.kernel.settings
        return settings.max_unpack_bytes, settings.max_unpack_entries, settings.max_unpack_ratio

    def epoch(self) -> int | None:
        """The time that everything is to have, in nanoseconds; raises `InvalidArgument`."""
        text = self.request.build_args.get(EPOCH)
        if not text:
            return None
        if not (text.isascii() and text.isdigit()) or len(text) > 10:
            raise InvalidArgument(f"invalid {EPOCH}: {text[:50]!r}")
        return int(text) * 1_000_000_000

    def created(self) -> str:
        """The time that images say they were made, RFC 3339."""
        epoch = self.epoch()
        return clock.rfc3339(clock.now_ns() if epoch is None else epoch)

    async def begin_running(self) -> None:
        """Leaves a record before the first container, by which the next builder finds what a crash leaves."""
        if not self._recorded:
            self._recorded = True
            record = BuildRecord(id=self.id, began=clock.now_ns())
            await self.kernel.state.create(BUILDS, self.kernel.node, self.id, value=record)

    async def end_bases(self) -> None:
        """Nothing is fetched for it any more."""
        for task in self._bases.values():
            task.cancel()
        if self._bases:
            await asyncio.wait(self._bases.values())

    async def end_running(self) -> None:
        """Nothing of this build is left to find."""
        if self._recorded:
            await self.kernel.state.delete(BUILDS, self.kernel.node, self.id)

    async def result(self, stage: int) -> State:
        """The last state of a stage, once it is done."""
        return await asyncio.shield(self.results[stage])

    def show(self, stage: int, text: str) -> None:
        self.console.write(stage, output.stream(text))

    def show_step(self, stage: int, text: str) -> None:
        """The line of a step: clients find it without its end, which comes by itself as from dockerd."""
        self.show(stage, text)
        self.show(stage, "\n")

    async def base(self, reference: str, platform: Platform | None, stage: int) -> Image:
        """An image to stand on or to copy from: this host's, else another host's, else the registry's; the registry's
        at once when that is asked for.
        """
        key = reference, platform
        if key not in self._bases:
            self._bases[key] = self.kernel.tasks.start(self._tried(reference, platform, stage), "base")
        found = await asyncio.shield(self._bases[key])
        if isinstance(found, ShoalError):
            raise found
        return found

    async def _tried(self, reference: str, platform: Platform | None, stage: int) -> Image | ShoalError:
        """What it is, or why not, for all stages that ask."""
        try:
            return await self._fetch(reference, platform, stage)
        except ShoalError as error:
            return error

    async def _fetch(self, reference: str, platform: Platform | None, stage: int) -> Image:
        wanted = platform or self.request.platform
        if not self.request.pull:
            with suppress(NotFound):
                return await self.present(reference, wanted)

        async def told(line: bytes) -> None:
            self.console.write(stage, line)
            await self.screen.room()

        await self.store.pull(reference, wanted, credentials(self.request.auth, reference), told)
        return await self.store.resolve(reference, wanted)

    async def present(self, reference: str, platform: Platform | None) -> Image:
        """An image of this host, else one that another host of the cluster has for the platform that is built for.

        Raises `NotFound`.
        """
        try:
            return await self.store.resolve(reference, platform)
        except NotFound:
            if not self.kernel.clustered:
                raise
        return await self.store.bring(reference, platform or self.host)

    async def cached(self, state: State, history: str, after: State | None = None) -> Image | None:
        """The image that this step made before; where images to take steps from are named, none but theirs.

        `after`: with another configuration than the image before. Of an image that came without those it was made of
        the step is done again with its layer.
        """
        if self.request.no_cache or (self.request.cache_from and not self.cache_from):
            return None
        platform = None if state.image_id else self.platform  # an image on another one is for that one's platform
        reply = await self.store.child(state.image_id, history, self.cache_from, platform)
        if reply.image is not None or not reply.origin:
            return reply.image
        config = (after or state).config
        request = CommitRequest(parent=state.image_id, origin=reply.origin, config=config, created_by=history)
        return await self.store.describe(request)

    async def describe(self, state: State, history: str) -> Image:
        """The image of a step that adds no file."""
        said = self._said(state, history)
        return await self.store.describe(CommitRequest(parent=state.image_id, platform=self.platform, **said))

    async def keep(self, state: State, history: str, container: str) -> Image:
        """The image of what a container has changed, which may not be started again if it is to be removed."""
        said, latest = self._said(state, history), self.epoch() or 0
        request = CommitRequest(key=container, release=self.request.remove, latest=latest, **said)
        return await self.store.describe(request)

    async def add_layer(self, state: State, history: str, made: Tree) -> Image:
        """The image of a step that adds these files."""
        request = ApplyRequest(parent=state.image_id, platform=self.platform, **self._said(state, history))
        return await self.store.add_layer(request, made, self.spools)

    def _said(self, state: State, history: str) -> dict[str, Any]:
        return {
            "config": state.config,
            "author": state.image.author,
            "created": self.created(),
            "created_by": history,
        }
