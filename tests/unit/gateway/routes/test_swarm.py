from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from gateway.routes.swarm import NOT_MANAGER
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
