"""A client of an executor: calls on the bus, and what the records say meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from shared.bus import Bus
from shared.contracts import executor
from shared.contracts.common import DockerEvent
from shared.contracts.container import ContainerConfig, ContainerSpec, ContainerStatus, HostConfig
from shared.contracts.executor import SPECS, STATUSES, CreateRequest, RemoveRequest, StartRequest
from shared.errors import NotFound
from shared.ids import new_token
from shared.state import State, View


class Client:
    """Remembers its containers and what was told of them."""

    def __init__(self, bus: Bus, view: View) -> None:
        self.bus, self._view = bus, view
        self.events: list[DockerEvent] = []
        self.statuses: dict[str, list[ContainerStatus]] = {}
        self._made: list[str] = []
        self._changed = asyncio.Event()
        view.on_change(self._on_change)

    @classmethod
    async def open(cls, bus: Bus, state: State) -> Client:
        client = cls(bus, await state.view(SPECS, STATUSES))
        await bus.listen(executor.CONTAINER_EVENT, client._heard)
        return client

    async def close(self) -> None:
        for container_id in self._made:
            try:
                await self.bus.call(executor.REMOVE, RemoveRequest(id=container_id, force=True))
            except NotFound:
                pass

    async def _heard(self, event: DockerEvent) -> None:
        self.events.append(event)
        self._wake()

    def _on_change(self, keys: Any, parts: tuple[str, ...], entry: Any) -> None:
        if keys is STATUSES and entry is not None:
            self.statuses.setdefault(parts[0], []).append(entry.value)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], object]) -> None:
        """Returns when what was told fulfils the condition."""
        async with asyncio.timeout(60):
            while not condition():
                await self._changed.wait()

    async def create(self, *cmd: str, name: str = "", config: dict[str, Any] | None = None, **asked: Any) -> str:
        request = CreateRequest(
            config=ContainerConfig(image="busybox", cmd=cmd, **(config or {})),
            host_config=HostConfig(**asked),
            name=name or f"t{new_token()[:16]}",
        )
        made = await self.bus.call(executor.CREATE, request)
        await self._view.reached(made.revision)
        self._made.append(made.id)
        return made.id

    async def start(self, container_id: str) -> None:
        done = await self.bus.call(executor.START, StartRequest(id=container_id))
        await self._view.reached(done.revision)

    async def run(self, *cmd: str, **more: Any) -> str:
        container_id = await self.create(*cmd, **more)
        await self.start(container_id)
        return container_id

    def spec(self, container_id: str) -> ContainerSpec | None:
        entry = self._view.get(SPECS, container_id)
        return entry.value if entry else None

    def status(self, container_id: str) -> ContainerStatus:
        entry = self._view.get(STATUSES, container_id)
        return entry.value if entry else ContainerStatus()

    async def in_state(self, container_id: str, state: str) -> ContainerStatus:
        await self.until(lambda: self.status(container_id).state == state)
        return self.status(container_id)

    def actions(self, container_id: str) -> list[str]:
        return [event.action for event in self.events if event.actor == container_id]
