"""Making a container on the host that was chosen, with its image."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import msgspec

from shared import telemetry
from shared.contracts import executor, image_store
from shared.contracts.common import Descriptor
from shared.contracts.executor import CreateReply, CreateRequest
from shared.contracts.image_store import Image
from shared.contracts.scheduler import ChooseRequest, CreatedReply
from shared.errors import NotFound, ShoalError
from shared.ids import new_token
from shared.service import Kernel

from ..domain.asking import ask_of, moved
from ..domain.facts import Bond
from .world import World

FIRST_ASKED = 3
"""Hosts whose image stores are asked for an image before all others are."""


class Placing:
    """Decides one request at a time; what was decided counts before it is seen in the records."""

    def __init__(self, kernel: Kernel, world: World, failover: Callable[[], bool]) -> None:
        """`failover`: whether containers may become movable."""
        self._kernel, self._world, self._failover = kernel, world, failover

    async def create(self, request: CreateRequest) -> CreatedReply:
        """Raises what the executor raises, and `FailedPrecondition` when no host is suitable."""
        if not request.config.image:  # this host's executor says what is wrong with it
            made = await self._kernel.bus.call(executor.CREATE, request)
            return _placed(made, self._kernel.node)
        image = await self._image(request)
        fleet = self._world.fleet
        platform = request.platform or image.platform
        ask = ask_of(request, image.id, platform, self._world, self._kernel.node)
        with telemetry.span("scheduler.decide"):
            node = fleet.decide(ask)
        pending = f"pending {new_token()}"
        fleet.put(pending, node, ask.load)
        try:
            await self.bring(image.id, image.descriptor, node)
            asked = msgspec.structs.replace(request, image_id=image.id, movable=not ask.bonds and self._failover())
            made = await self._kernel.bus.call(executor.CREATE, asked, node=node)
        except BaseException:
            fleet.drop(pending)
            raise
        self._kernel.tasks.start(self._seen(pending, node, made.revision), "seen")
        return _placed(made, node)

    def choose(self, request: ChooseRequest) -> str:
        """Raises `FailedPrecondition` when no host is suitable."""
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

    async def _image(self, request: CreateRequest) -> Image:
        """As this host knows it, else as another does. Raises `NotFound` as this host's image store words it."""
        asked = image_store.ResolveRequest(reference=request.config.image, platform=request.platform)
        try:
            return await self._kernel.bus.call(image_store.RESOLVE, asked)
        except NotFound:
            others = [node for node in self._world.reachable() if node != self._kernel.node]
            calls = (self._kernel.bus.call(image_store.RESOLVE, asked, node=node, timeout=5) for node in others)
            for answer in await asyncio.gather(*calls, return_exceptions=True):
                if isinstance(answer, Image):
                    return answer
            raise

    async def bring(self, image_id: str, manifest: Descriptor | None, node: str) -> None:
        """The image is on the host when this returns, under the names that it has elsewhere."""
        holders = self._world.with_image(image_id)
        if node in holders or manifest is None:
            return
        await self._kernel.bus.call(
            image_store.FETCH,
            image_store.FetchRequest(
                manifest=manifest,
                nodes=tuple(islice(holders, FIRST_ASKED)),
                names=self._world.names_lacking(image_id, node),
            ),
            node=node,
        )


def _placed(made: CreateReply, node: str) -> CreatedReply:
    return CreatedReply(id=made.id, name=made.name, warnings=made.warnings, revision=made.revision, node=node)
