"""An executor on a simulated host, and short words for what its clients do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from services.executor.service import build
from shared.contracts import executor as contract
from shared.contracts.container import ContainerConfig, HostConfig
from shared.service import Kernel
from shared.state import State
from tests.support.simulators.host import World


class Crash:
    """Stops an executor at its `step`-th call or write: nothing it does after that reaches anybody.

    Steps are counted before a call is sent and again when its answer comes. `happened` is set at the stop.
    """

    def __init__(self, step: int) -> None:
        self.left = step
        self.happened = asyncio.Event()
        self._over = asyncio.Event()
        self.dead = False

    def into(self, kernel: Kernel) -> None:
        kernel.bus.call = self._guarded(kernel.bus.call)  # type: ignore[method-assign,assignment]
        kernel.state = _Guarded(kernel.state, self._guarded)

    def end(self) -> None:
        """Ends what has stopped, as a kill does: nobody who takes the executor down has to wait for it."""
        self.dead = self.happened.is_set()
        self._over.set()

    def _guarded(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            await self._step()
            result = await call(*args, **kwargs)
            await self._step()
            return result

        return guarded

    async def _step(self) -> None:
        self.left -= 1
        if self.dead:
            raise asyncio.CancelledError
        if self.left <= 0:
            self.happened.set()
            try:
                await self._over.wait()
                raise asyncio.CancelledError
            finally:
                self.dead = True  # what is torn down tidies up, what is killed does not


class _Guarded:
    """A store whose writes are guarded."""

    def __init__(self, state: State, guard: Callable[[Any], Any]) -> None:
        self.create, self.update, self.delete = guard(state.create), guard(state.update), guard(state.delete)
        self.get, self.latest, self.view, self.close = state.get, state.latest, state.view, state.close


class Node(World):
    """A world with an executor."""

    async def boot(self, crash: Crash | None = None) -> None:
        """Starts the executor (again), with `crash` one that will stop in the middle of something."""
        prepare = crash.into if crash else lambda kernel: None
        self.executor = await self.start(contract.CONTRACT, build, prepare)

    async def reboot(self) -> None:
        """The host goes down and comes up again: no process, no network stack; records and disk are there."""
        await self.die()
        self.platform.lose_all()
        self.network.stacks.clear()
        (self.directory / "executor" / "run" / "executor" / "engine").unlink()
        await self.boot()

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
