from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from gateway.routes.swarm import NO_TASKS, NOT_MANAGER
from shared.contracts import scheduler
from shared.contracts.scheduler import UpdateRequest
from shared.testing import serving
from tests.support.gateways import Here, Host, World, as_far_as
from tests.support.http import Answer

Api = Callable[..., Awaitable[Answer]]


@pytest.mark.parametrize("path", ["/swarm", "/nodes", "/services", "/tasks", "/secrets", "/configs", "/nodes/x"])
async def test_outside_a_swarm(api: Api, path: str) -> None:
    answer = await api("GET", path)
    assert (answer.status, answer.message) == (503, NOT_MANAGER)


async def test_no_host_is_removed_outside_a_cluster(api: Api) -> None:
    answer = await api("DELETE", "/nodes/x?force=1")
    assert (answer.status, answer.message) == (503, NOT_MANAGER)


async def test_leaving_and_joining(api: Api) -> None:
    leave = await api("POST", "/swarm/leave")
    assert (leave.status, leave.message) == (503, "This node is not part of a swarm")
    assert (await api("POST", "/swarm/init", {})).status == 501


async def test_what_clients_say_of_hosts(api: Api, world: World, two: Host) -> None:
    """`docker node update`: what it sends is all that is to hold."""
    here = Here()
    spec = {"Labels": {"disk": "ssd"}, "Role": "manager", "Availability": "drain"}
    async with serving(world.kernel, as_far_as(scheduler.CONTRACT, here), here):
        for name in ("two", "self", "node2"):
            assert (await api("POST", f"/nodes/{name}/update?version=0", spec)).status == 200
        told = UpdateRequest(node="node2", labels={"disk": "ssd"}, availability="drain")
        assert here.updates == [told, UpdateRequest(node="node1", labels={"disk": "ssd"}, availability="drain"), told]
        answer = await api("POST", "/nodes/two/update?version=0", spec | {"Role": "worker"})
        assert (answer.status, "node two stays a manager: the cluster itself makes managers" in answer.message) == (
            400,
            True,
        )
        assert (await api("POST", "/nodes/three/update?version=0", spec)).message == "node three not found"


async def test_a_cluster_has_no_tasks(api: Api, two: Host) -> None:
    answer = await api("GET", '/tasks?filters={"node":["node2"]}')
    assert (answer.status, answer.message) == (503, NO_TASKS)


async def test_outside_a_cluster_no_host_is_changed(api: Api) -> None:
    answer = await api("POST", "/nodes/self/update?version=0", {"Availability": "drain"})
    assert (answer.status, answer.message) == (503, NOT_MANAGER)
