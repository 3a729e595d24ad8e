"""The registry: one operation at a time on one workload."""

from __future__ import annotations

import asyncio

import pytest

from shared.errors import Conflict, NotFound
from tests.support.platform_host import Host


async def test_operations_on_one_wait_for_each_other(host: Host) -> None:
    name = await host.run("sleep", "100")
    order = []

    async def work(number: int) -> None:
        async with host.linux.workloads.doing(name, "signal"):
            order.append(number)
            await asyncio.sleep(0)
            order.append(number)

    await asyncio.gather(*(work(number) for number in range(3)))
    assert order == [0, 0, 1, 1, 2, 2]


async def test_who_waited_for_a_removed_one_finds_none(host: Host) -> None:
    name = await host.run("true")
    await host.exited(name)
    first, second = await asyncio.gather(host.delete(name), host.delete(name), return_exceptions=True)
    assert first is None
    assert second is None or isinstance(second, NotFound)
    assert host.linux.workloads.find(name) is None


async def test_states_are_checked(host: Host) -> None:
    name = await host.run("sleep", "100")
    with pytest.raises(Conflict):
        async with host.linux.workloads.doing(name, "unpause"):
            pass
    with pytest.raises(NotFound, match="No such container: nope"):
        host.linux.workloads.get("nope")
    assert [w.record.id for w in host.linux.workloads] == [name]
