from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from gateway import stats
from gateway.routes import resources
from shared.contracts.container import Resources
from shared.contracts.executor import UpdateRequest
from tests.support.gateways import World
from tests.support.http import Answer, connected

Api = Callable[..., Awaitable[Answer]]
Create = Callable[..., Awaitable[str]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "INTERVAL", 0.01)


async def test_one_answer_has_two_samples(api: Api, create: Create, world: World) -> None:
    id = await create("sleep", "1", start=True)
    world.platform.using = {id}
    shown = (await api("GET", "/containers/c1/stats?stream=0")).json()
    assert (shown["id"], shown["name"]) == (id, "/c1")
    assert shown["cpu_stats"]["cpu_usage"]["total_usage"] > shown["precpu_stats"]["cpu_usage"]["total_usage"] > 0


async def test_samples_that_lie_too_close_are_passed_over(
    api: Api, create: Create, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await create("sleep", "1", start=True)
    world.platform.using = {id}
    monkeypatch.setattr(resources, "AGE", 3 * 10**9)
    await api("GET", "/containers/c1/stats?stream=0")
    assert len(world.platform.asked) >= 4


async def test_one_shot_takes_one(api: Api, create: Create, world: World) -> None:
    id = await create("sleep", "1", start=True)
    world.platform.using = {id}
    shown = (await api("GET", "/containers/c1/stats?stream=false&one-shot=true")).json()
    assert shown["precpu_stats"]["cpu_usage"]["total_usage"] == 0
    assert len(world.platform.asked) == 1
    answer = await api("GET", "/containers/c1/stats?one-shot=true")
    assert (answer.status, answer.message) == (400, "cannot have stream=true and one-shot=true")
    old = await api("GET", "/v1.40/containers/c1/stats?stream=false&one-shot=true")
    assert old.json()["precpu_stats"]["cpu_usage"]["total_usage"] > 0  # not known yet


async def test_what_does_not_run_answers_at_once(api: Api, create: Create, world: World) -> None:
    await create("sleep", "1")
    assert (await api("GET", "/containers/c1/stats?stream=0")).json()["pids_stats"] == {}
    assert not world.platform.asked
    assert (await api("GET", "/containers/nope/stats")).status == 404


async def test_a_stream_goes_on_until_the_container_is_removed(api: Api, create: Create, world: World) -> None:
    id = await create("sleep", "1", start=True)
    world.platform.using = {id}
    async with connected(world.socket) as client:
        await client.send(b"GET /v1.51/containers/c1/stats HTTP/1.0\r\n\r\n")
        await client.head()
        first, second = [json.loads(await client.reader.readline()) for _ in range(2)]
        assert second["precpu_stats"] == first["cpu_stats"]
        world.platform.using.clear()  # it ended
        while json.loads(await client.reader.readline())["read"] != "0001-01-01T00:00:00Z":
            pass
        assert (await api("DELETE", f"/containers/{id}?force=1")).status == 204
        while await client.reader.readline():
            pass


async def test_a_stream_ends_at_once_when_the_container_is_removed(
    api: Api, create: Create, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "INTERVAL", 1000.0)
    id = await create("sleep", "1")
    async with connected(world.socket) as client:
        await client.send(b"GET /v1.51/containers/c1/stats HTTP/1.0\r\n\r\n")
        await client.head()
        assert json.loads(await client.reader.readline())["id"] == id
        assert (await api("DELETE", f"/containers/{id}")).status == 204
        assert await asyncio.wait_for(client.reader.read(), 30) == b""


async def test_update(api: Api, create: Create, world: World) -> None:
    id = await create("sleep", "1")
    assert (await api("POST", "/containers/c1/update", {"Memory": 1 << 30})).json() == {"Warnings": None}
    assert world.executor.last() == UpdateRequest(id=id, resources=Resources(memory=1 << 30))
    assert (await api("POST", "/containers/c1/update", {"BlkioWeight": 5})).json() == {"Warnings": ["discarded"]}
    assert (await api("POST", "/containers/c1/update")).status == 400
    assert (await api("POST", "/containers/nope/update", {})).status == 404


async def test_ports(api: Api, create: Create, world: World) -> None:
    await create("sleep", "1", start=True)
    body = {"Add": {"80/tcp": [{"HostPort": "8080"}]}}
    answer = await api("POST", "/containers/c1/ports", body)
    assert (answer.status, answer.json()) == (200, {"Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}})
    assert (await api("POST", "/containers/c1/ports", {})).status == 400
    assert (await api("POST", "/containers/nope/ports", body)).status == 404
