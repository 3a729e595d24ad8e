"""An executor on a simulated node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from services.executor.service import build
from shared.contracts import executor as contract
from shared.contracts.container import ContainerConfig, HostConfig
from tests.support.simulators.host import World


class Node(World):
    """A world with an executor, and short words for what clients do."""

    async def boot(self) -> None:
        """Starts the executor (again)."""
        self.executor = await self.start(contract.CONTRACT, build)

    async def die(self) -> None:
        """SIGKILL of the executor."""
        await self.vanish(contract.CONTRACT)

    async def create(self, *cmd: str, image: str = "busybox", name: str = "", **more: Any) -> str:
        """A container with this command; `more` are fields of HostConfig, or of the configuration as `config`."""
        config = ContainerConfig(image=image, cmd=cmd or None, **more.pop("config", {}))
        networks = more.pop("networks", {})
        request = contract.CreateRequest(config=config, name=name, host_config=HostConfig(**more), networks=networks)
        reply = await self.call(contract.CREATE, request)
        await self.view.reached(reply.revision)
        return str(reply.id)

    async def begin(self, container_id: str) -> None:
        revision = await self.call(contract.START, contract.StartRequest(id=container_id))
        await self.view.reached(revision.revision)

    async def run(self, *cmd: str, **more: Any) -> str:
        container_id = await self.create(*cmd, **more)
        await self.begin(container_id)
        return container_id

    async def stop(self, container_id: str, **more: Any) -> None:
        revision = await self.call(contract.STOP, contract.StopRequest(id=container_id, **more))
        await self.view.reached(revision.revision)

    async def remove(self, container_id: str, **more: Any) -> None:
        revision = await self.call(contract.REMOVE, contract.RemoveRequest(id=container_id, **more))
        await self.view.reached(revision.revision)

    async def in_state(self, container_id: str, state: str) -> None:
        await self.until(lambda: self.status(container_id).state == state)

    async def gone(self, container_id: str) -> None:
        """Removed, and nothing left of it."""
        await self.until(lambda: self.spec(container_id) is None and not self.leftovers())

    def actions(self, container_id: str) -> list[str]:
        return [event.action for event in self.events if event.actor == container_id]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    made = Node(tmp_path)
    await made.open()
    await made.boot()
    try:
        yield made
    finally:
        await made.close()
