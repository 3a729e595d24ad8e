"""Making a container on the host that was chosen, with its image."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice

import msgspec

from shared import telemetry
from shared.contracts import executor, image_store
from shared.contracts.base import Empty
from shared.contracts.common import Descriptor, Platform
from shared.contracts.executor import CreateReply, CreateRequest
from shared.contracts.image_store import WHICH_IMAGE, Image
from shared.contracts.scheduler import HERE, BringRequest, ChooseRequest, CreatedReply
from shared.errors import Conflict, DeadlineExceeded, NotFound, ShoalError, Unavailable
from shared.ids import new_token
from shared.reference import listed_as
from shared.service import Kernel

from ..domain.asking import ask_of, moved
from ..domain.facts import Ask, Bond
from .world import World

FIRST_ASKED = 3
"""Hosts whose image stores are asked for an image before all others are."""
PATIENCE = 2.0
"""Seconds within which a chosen host has to show that it is there: it takes longer until a dead one counts as such."""
AVOID_SECONDS = 5.0
"""For so long one that has not is not chosen again."""


class Placing:
    """Decides one request at a time; what was decided counts before it is seen in the records."""

    def __init__(self, kernel: Kernel, world: World, failover: Callable[[], bool]) -> None:
        """`failover`: whether containers may become movable."""
        self._kernel, self._world, self._failover = kernel, world, failover
        self._silent: dict[str, float] = {}

    async def create(self, request: CreateRequest) -> CreatedReply:
        """Raises what the executor raises, `FailedPrecondition` when no host is suitable, `Unavailable` when none is
        known.
        """
        if not request.config.image:  # this host's executor says what is wrong with it
            made = await self._kernel.bus.call(executor.CREATE, request)
            return _placed(made, self._kernel.node)
        self._world.check()
        image = await self._image(request.config.image, request.platform)
        platform = request.platform or image.platform
        await self._world.settled()
        ask = ask_of(request, image.id, platform, self._world, self._kernel.node)
        pending = f"pending {new_token()}"
        try:
            node = await self._decide(ask, pending)
            await self.bring(image.id, image.descriptor, node)
            asked = msgspec.structs.replace(request, image_id=image.id, movable=not ask.bonds and self._failover())
            made = await self._kernel.bus.call(executor.CREATE, asked, node=node)
        except BaseException:
            self._world.fleet.drop(pending)
            raise
        self._kernel.tasks.start(self._seen(pending, node, made.revision), "seen")
        return _placed(made, node)

    async def _decide(self, ask: Ask, pending: str) -> str:
        """The host, reserved under `pending`. It has just shown that it is there: who was asked to make a container and
        does not answer may have made it, so that no other can be asked.
        """
        now = asyncio.get_running_loop().time
        with telemetry.span("scheduler.decide"):
            while True:
                self._silent = {node: until for node, until in self._silent.items() if until > now()}
                away = Bond(frozenset(self._silent), "not answering", apart=True)
                node = self._world.fleet.decide(replace(ask, bonds=(*ask.bonds, away)) if self._silent else ask)
                self._world.fleet.put(pending, node, ask.load)
                if node == self._kernel.node or await self._is_there(node):
                    return node
                self._silent[node] = now() + AVOID_SECONDS

    async def _is_there(self, node: str) -> bool:
        try:
            await self._kernel.bus.call(HERE, Empty(), node=node, timeout=PATIENCE)
        except ShoalError:
            return False
        return True

    def choose(self, request: ChooseRequest) -> str:
        """Raises `FailedPrecondition` when no host is suitable."""
        self._world.check()
        spec = request.spec
        ask = ask_of(moved(spec), spec.image_id, spec.platform, self._world)
        apart = tuple(Bond(frozenset((node,)), "not to stay where it is", apart=True) for node in request.without)
        return self._world.fleet.decide(replace(ask, bonds=(*ask.bonds, *apart)))

    async def _seen(self, pending: str, node: str, revision: int) -> None:
        """From then on the container's own record counts."""
        view = self._world.view(node)
        try:
            if view is not None:
                await view.reached(revision)
        except ShoalError:
            pass
        finally:
            self._world.fleet.drop(pending)

    async def _image(self, reference: str, platform: Platform | None) -> Image:
        """As this host knows it, else as the others do.

        Raises `NotFound` as this host's image store words it, `Conflict` where others mean different images by the
        name, `Unavailable` where one that does not answer may have it.
        """
        asked = image_store.ResolveRequest(reference=reference, platform=platform)
        try:
            return await self._kernel.bus.call(image_store.RESOLVE, asked)
        except NotFound:
            others = sorted(node for node in self._world.reachable() if node != self._kernel.node)
            calls = (self._kernel.bus.call(image_store.RESOLVE, asked, node=node, timeout=5) for node in others)
            answers = dict(zip(others, await asyncio.gather(*calls, return_exceptions=True), strict=True))
            found = {node: answer for node, answer in answers.items() if isinstance(answer, Image)}
            silent = [node for node, answer in answers.items() if isinstance(answer, (Unavailable, DeadlineExceeded))]
            if not found and not silent:
                raise
        if not found:
            raise Unavailable(f"{reference} may be on {self._names(silent)}, which cannot be asked now")
        if len({image.id for image in found.values()}) > 1:
            raise Conflict(f"{reference} is not the same on the hosts {self._names(found)}: {WHICH_IMAGE}")
        return next(iter(found.values()))

    def _names(self, nodes: Iterable[str]) -> str:
        return ", ".join(self._world.name(node) for node in nodes)

    async def bring_here(self, request: BringRequest) -> str:
        """The id of an image that is on this host when this returns. Raises as `_image`."""
        self._world.check()
        image = await self._image(request.reference, request.platform)
        asked = listed_as(request.reference)
        names = tuple(name for name in image.repo_tags if name == asked)  # records of what was just loaded may be late
        await self.bring(image.id, image.descriptor, self._kernel.node, names)
        return image.id

    async def bring(self, image_id: str, manifest: Descriptor | None, node: str, names: tuple[str, ...] = ()) -> None:
        """The image is on the host when this returns, under the names that it has elsewhere, and under these `names`,
        which mean nothing else there.
        """
        holders = self._world.with_image(image_id)
        if node in holders or manifest is None:
            return
        await self._kernel.bus.call(
            image_store.FETCH,
            image_store.FetchRequest(
                manifest=manifest,
                nodes=tuple(islice((holder for holder in holders if holder not in self._silent), FIRST_ASKED)),
                names=(*self._world.names_lacking(image_id, node), *names),
            ),
            node=node,
        )


def _placed(made: CreateReply, node: str) -> CreatedReply:
    return CreatedReply(id=made.id, name=made.name, warnings=made.warnings, revision=made.revision, node=node)
