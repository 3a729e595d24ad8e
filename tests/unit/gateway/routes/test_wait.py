from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.routes.wait import met
from shared.contracts.container import ContainerStatus
from tests.support.gateways import World
from tests.support.http import Answer, Client, connected

Api = Callable[..., Awaitable[Answer]]
Create = Callable[..., Awaitable[str]]
RUNNING = ContainerStatus(state="running", runs=1)
EXITED = ContainerStatus(state="exited", runs=1, exit_code=3)


async def waiting(client: Client, condition: str) -> None:
    await client.send(f"POST /containers/c1/wait?condition={condition} HTTP/1.1\r\n\r\n".encode())
    assert (await client.head()).status == 200  # at once, whatever is waited for


async def ended(client: Client) -> bytes:
    return b"".join([chunk async for chunk in client.chunks()])


@pytest.mark.parametrize("condition", ["next-exit", "removed"])
async def test_run_waits_before_it_starts(api: Api, create: Create, world: World, condition: str) -> None:
    await create("exit", "7", HostConfig={"AutoRemove": condition == "removed"})
    async with connected(world.socket) as client:
        await waiting(client, condition)
        await api("POST", "/containers/c1/start")
        assert await ended(client) == b'{"StatusCode":7}\n'


async def test_before_1_30_a_wait_has_no_condition(api: Api, create: Create) -> None:
    await create("exit", "5")
    answer = await api("POST", "/v1.29/containers/c1/wait?condition=bored")
    assert (answer.status, answer.json()) == (200, {"StatusCode": 0})
    assert "content-length" in answer.headers


async def test_what_does_not_run_is_not_waited_for(api: Api, create: Create) -> None:
    await create("exit", "5")
    assert (await api("POST", "/containers/c1/wait")).json() == {"StatusCode": 0}
    await api("POST", "/containers/c1/start")
    assert (await api("POST", "/containers/c1/wait?condition=not-running")).json() == {"StatusCode": 5}


async def test_a_removal_by_force_wakes_who_waits_for_an_exit(api: Api, create: Create, world: World) -> None:
    await create("sleep", "1", start=True)
    async with connected(world.socket) as client:
        await waiting(client, "next-exit")
        await api("DELETE", "/containers/c1?force=1")
        assert await ended(client) == b'{"StatusCode":137}\n'


async def test_a_client_that_goes_waits_no_longer(create: Create, world: World) -> None:
    await create("sleep", "1", start=True)
    async with connected(world.socket) as client:
        await waiting(client, "next-exit")
    for _ in range(100):
        await asyncio.sleep(0)
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("http:")]


async def test_an_unknown_condition_is_refused(api: Api, create: Create) -> None:
    await create("sleep", "1")
    answer = await api("POST", "/containers/c1/wait?condition=foo")
    assert (answer.status, answer.message) == (400, 'invalid condition: "foo"')


@pytest.mark.parametrize(
    ("condition", "first", "now", "result"),
    [
        ("not-running", ContainerStatus(), ContainerStatus(), True),
        ("not-running", RUNNING, RUNNING, False),
        ("not-running", RUNNING, ContainerStatus(state="running", runs=2), True),
        ("next-exit", EXITED, EXITED, False),
        ("next-exit", EXITED, ContainerStatus(state="running", runs=2), False),
        ("next-exit", EXITED, ContainerStatus(state="exited", runs=2), True),
        ("next-exit", RUNNING, ContainerStatus(state="restarting", runs=1), True),
        ("removed", RUNNING, EXITED, False),
    ],
)
def test_conditions(condition: str, first: ContainerStatus, now: ContainerStatus, result: bool) -> None:
    assert met(condition, first, now) is result
