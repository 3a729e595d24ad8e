from __future__ import annotations

import pytest

from shared.contracts import executor as contract
from shared.contracts import platform
from shared.contracts.container import Resources, RestartPolicy
from shared.errors import Conflict, InvalidArgument, NotFound
from tests.support.executor_node import Node


async def update(node: Node, container_id: str, policy: RestartPolicy | None = None, **limits: int) -> tuple[str, ...]:
    request = contract.UpdateRequest(id=container_id, resources=Resources(**limits), restart_policy=policy)  # type: ignore[arg-type]
    reply = await node.call(contract.UPDATE, request)
    await node.view.reached(reply.revision)
    return tuple(reply.warnings)


async def test_a_running_container_gets_its_limits_at_once(node: Node) -> None:
    container_id = await node.run("sleep", memory=64 << 20)
    assert await update(node, container_id, memory=32 << 20, cpu_shares=512) == ()
    asked = Resources(memory=32 << 20, memory_swap=128 << 20, cpu_shares=512)
    assert node.platform.requests("update") == [platform.UpdateRequest(id=container_id, resources=asked)]
    spec = node.spec(container_id)
    assert spec is not None
    assert (spec.host_config.memory, spec.host_config.cpu_shares) == (32 << 20, 512)
    await node.until(lambda: node.actions(container_id)[-1] == "update")


async def test_another_one_gets_them_when_it_starts(node: Node) -> None:
    container_id = await node.create("sleep")
    await update(node, container_id, pids_limit=7)
    assert not node.platform.requests("update")
    await node.begin(container_id)
    (made,) = node.platform.requests("create")
    assert isinstance(made, platform.CreateRequest)
    assert made.resources.pids_limit == 7


async def test_the_policy_needs_no_host(node: Node) -> None:
    container_id = await node.run("sleep")
    await update(node, container_id, RestartPolicy("on-failure", 2))
    assert not node.platform.requests("update")
    spec = node.spec(container_id)
    assert spec is not None
    assert spec.host_config.restart_policy == RestartPolicy("on-failure", 2)
    with pytest.raises(InvalidArgument, match="unknown policy 'bogus'"):
        await update(node, container_id, RestartPolicy("bogus"))


async def test_what_the_host_refuses_is_not_recorded(node: Node) -> None:
    container_id = await node.run("sleep")
    node.platform.fail["update"].append(Conflict("memory.limit_in_bytes: Device or resource busy"))
    with pytest.raises(Conflict, match=f"Cannot update container {container_id}: memory.limit_in_bytes: Device"):
        await update(node, container_id, memory=64 << 20, memory_swap=-1)
    spec = node.spec(container_id)
    assert spec is not None
    assert spec.host_config.memory == 0


async def test_what_cannot_be(node: Node) -> None:
    container_id = await node.create("sleep", nano_cpus=500_000_000)
    with pytest.raises(Conflict, match=f"Cannot update container {container_id}: Conflicting options: CPU Quota"):
        await update(node, container_id, cpu_quota=50_000)
    with pytest.raises(InvalidArgument, match="Minimum memory limit allowed is 6MB"):
        await update(node, container_id, memory=5)
    with pytest.raises(NotFound):
        await update(node, "nope", memory=64 << 20)


async def test_limits_can_be_taken_away(node: Node) -> None:
    container_id = await node.run("sleep", pids_limit=5)
    await update(node, container_id, pids_limit=0)
    (asked,) = node.platform.requests("update")
    assert isinstance(asked, platform.UpdateRequest)
    assert asked.resources.pids_limit == 0
