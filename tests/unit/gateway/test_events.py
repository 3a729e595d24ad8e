from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest

from gateway.events import Feed, content_type
from shared.clock import now_ns
from shared.contracts.common import DockerEvent
from shared.contracts.container import ContainerConfig
from shared.contracts.executor import CONTAINER_EVENT, CreateRequest
from tests.support.gateways import Host, World
from tests.support.http import Answer, connected

Api = Callable[..., Awaitable[Answer]]
Create = Callable[..., Awaitable[str]]


def actions(body: bytes) -> list[str]:
    return [json.loads(line)["Action"] for line in body.splitlines()]


async def test_the_past_is_read_and_ends_at_until(api: Api, create: Create) -> None:
    await create("exit", "3", start=True)
    await api("POST", "/containers/c1/wait")
    until = now_ns() / 1e9
    answer = await api("GET", f"/events?since=1&until={until:.9f}")
    assert actions(answer.body) == ["create", "start", "die"]
    some = await api(
        "GET", f"/events?since=1&until={until:.9f}&filters=" + quote('{"event":["die"],"container":["c1"]}')
    )
    assert [json.loads(line)["Actor"]["Attributes"]["exitCode"] for line in some.body.splitlines()] == ["3"]


async def test_what_several_hosts_have_kept_is_told_once(api: Api, two: Host) -> None:
    await two.executor.create(CreateRequest(config=ContainerConfig(image="busybox", cmd=("sleep", "1")), name="c"))
    answer = await api("GET", f"/events?since=1&until={now_ns() / 1e9:.9f}")
    assert actions(answer.body) == ["create"]


async def test_until_a_time_to_come_live_events_are_shown(api: Api, create: Create, world: World) -> None:
    until = now_ns() / 1e9 + 0.3
    async with connected(world.socket) as client:
        await client.send(f"GET /events?until={until:.3f} HTTP/1.1\r\n\r\n".encode())
        assert (await client.head()).status == 200
        await create("sleep", "1")
        body = b"".join([chunk async for chunk in client.chunks()])
    assert actions(body) == ["create"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("since=abc", 'invalid value for "since"'),
        ("until=abc", 'invalid value for "until"'),
        ("since=20&until=10", "`since` time (20) cannot be after `until` time (10)"),
        ("filters=foo", "invalid filter"),
    ],
)
async def test_wrong_requests_are_refused(api: Api, query: str, text: str) -> None:
    answer = await api("GET", f"/events?{query}")
    assert answer.status == 400
    assert text in answer.message


async def test_every_listener_hears_every_event(world: World) -> None:
    bus = world.kernel.bus
    feed = Feed(bus, (CONTAINER_EVENT,))
    event = DockerEvent(type="container", action="start", actor="c", time_ns=1)
    async with feed.listen() as first, feed.listen() as second:
        await bus.tell(CONTAINER_EVENT, event, suffix="start")
        assert (await first.next(), await second.next()) == (event, event)
    async with feed.listen() as third:  # comes while the others' subscription is being ended
        await bus.tell(CONTAINER_EVENT, event, suffix="start")
        assert await third.next() == event


async def test_nothing_is_heard_for_nobody(world: World) -> None:
    bus = world.kernel.bus
    feed = Feed(bus, (CONTAINER_EVENT,))
    async with feed.listen():
        assert feed._heard
    await feed._tasks.drain(10)
    assert not feed._heard


@pytest.mark.parametrize(
    ("accept", "old", "kind"),
    [
        ("", True, "application/json"),
        ("", False, "application/jsonl"),
        ("text/html, application/x-ndjson;q=1", True, "application/x-ndjson"),
        ("application/json-seq", False, "application/json-seq"),
        ("*/*", False, "application/jsonl"),
    ],
)
def test_the_form_is_what_the_client_accepts(accept: str, old: bool, kind: str) -> None:
    assert content_type(accept, old) == kind


async def test_what_is_told_ahead_is_heard_at_once_and_only_once(world: World) -> None:
    bus = world.kernel.bus
    feed = Feed(bus, (CONTAINER_EVENT,))
    early, next_ = (DockerEvent(type="container", action="exec_create: sh", actor="c", time_ns=at) for at in (1, 2))
    async with feed.listen() as first:
        feed.ahead(early)
        assert await first.next() == early
        async with feed.listen() as later:  # came before the service told it
            await bus.tell(CONTAINER_EVENT, early, suffix="exec_create")
            await bus.tell(CONTAINER_EVENT, next_, suffix="exec_create")
            assert (await later.next(), await later.next(), await first.next()) == (early, next_, next_)


async def test_the_event_of_an_exec_comes_once(api: Api, create: Create, world: World) -> None:
    await create("sleep", "1000", start=True)
    told: list[dict[str, Any]] = []
    async with connected(world.socket) as client:
        await client.send(b"GET /events HTTP/1.1\r\n\r\n")
        assert (await client.head()).status == 200
        made = (await api("POST", "/containers/c1/exec", {"Cmd": ["true"]})).json()["Id"]
        await api("POST", "/containers/c1/kill")
        async for chunk in client.chunks():
            told += [json.loads(line) for line in chunk.splitlines()]
            if told[-1]["Action"] == "die":  # told by the executor after the exec
                break
    execs = [each for each in told if each["Action"] == "exec_create: true "]
    assert [each["Actor"]["Attributes"]["execID"] for each in execs] == [made]
