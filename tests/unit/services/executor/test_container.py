from __future__ import annotations

import asyncio

from services.executor.container import Container
from shared.contracts.container import ContainerConfig, ContainerSpec, ContainerStatus, HostConfig


def make() -> Container:
    return Container(ContainerSpec(id="c", name="web", created=1, config=ContainerConfig(), host_config=HostConfig()))


async def test_waiting_for_a_status() -> None:
    container = make()
    container.become(ContainerStatus(state="running"))
    assert container.running
    waiting = asyncio.get_running_loop().create_task(container.down(1))
    await asyncio.sleep(0)
    container.become(ContainerStatus(state="paused"))
    await asyncio.sleep(0)
    assert not waiting.done()
    container.become(ContainerStatus(state="exited"))
    assert await waiting
    assert not container.running


async def test_patience_ends() -> None:
    container = make()
    container.become(ContainerStatus(state="running"))
    assert not await container.down(0.01)
    assert await container.until(lambda status: status.state == "running", 0)


async def test_clean_waits_for_the_last_run() -> None:
    container, given_back = make(), asyncio.Event()
    await container.clean()
    container.cleanup = asyncio.get_running_loop().create_task(_wait(given_back))
    waiting = asyncio.get_running_loop().create_task(container.clean())
    await asyncio.sleep(0)
    assert not waiting.done()
    given_back.set()
    await waiting
    assert container.cleanup.done()


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
