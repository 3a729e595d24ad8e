from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.builder.adapters.containers import Containers
from shared.contracts import executor
from shared.contracts.container import ContainerConfig, HostConfig
from shared.errors import Conflict, NotFound, Unavailable
from tests.support.builder_world import World
from tests.support.waiting import until


async def made(world: World, *words: str) -> tuple[Containers, str]:
    containers = Containers(world.kernel)
    config = ContainerConfig(image="busybox", cmd=(" ".join(words),))
    return containers, (await containers.create(config, HostConfig())).id


async def test_output_and_exit_code(world: World) -> None:
    shown: list[tuple[int, str]] = []

    async def show(stream: int, text: str) -> None:
        shown.append((stream, text))

    containers, container = await made(world, "echo", "hi")
    assert await containers.run(container, show) == 0
    assert shown == [(1, "hi\n")]
    failing = (await containers.create(ContainerConfig(image="busybox", cmd=("exit 3",)), HostConfig())).id
    assert await containers.run(failing, show) == 3
    containers.close()


async def test_what_is_open_is_removed(world: World) -> None:
    containers, container = await made(world, "true")
    assert list(containers.open) == [container]
    world.containers.fail["remove"] = Conflict("not now")
    await containers.remove_all()
    assert list(containers.open) == [container]
    await containers.remove_all()
    await containers.remove(container)
    assert (list(containers.open), world.containers.machines) == ([], {})


async def test_what_cannot_run(world: World) -> None:
    async def show(stream: int, text: str) -> None:
        raise AssertionError

    containers, container = await made(world, "true")
    world.containers.fail["start"] = NotFound("exec: x")
    with pytest.raises(NotFound, match="exec: x"):
        await containers.run(container, show)
    await world.user.bus.call(executor.REMOVE, executor.RemoveRequest(id=container))
    with pytest.raises((NotFound, Unavailable)):
        await containers.run(container, show)
    containers.close()


async def test_one_made_while_its_build_ends_is_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    containers, gate, call = Containers(world.kernel), asyncio.Event(), world.kernel.bus.call

    async def slow(*arguments: Any) -> Any:
        answer = await call(*arguments)
        await gate.wait()
        return answer

    monkeypatch.setattr(world.kernel.bus, "call", slow)
    making = asyncio.ensure_future(containers.create(ContainerConfig(image="busybox"), HostConfig()))
    await until(lambda: bool(world.containers.machines))
    making.cancel()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert list(containers.open) == list(world.containers.machines)
