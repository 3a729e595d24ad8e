from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.support.gateways import World
from tests.support.http import Answer, connected

Api = Callable[..., Awaitable[Answer]]
Create = Callable[..., Awaitable[str]]


@pytest.mark.parametrize("path", ["/_ping", "/v1.41/_ping"])
async def test_ping(api: Api, path: str) -> None:
    answer = await api("GET", path)
    assert (answer.status, answer.body) == (200, b"OK")
    assert answer.headers["swarm"] == "inactive"
    assert answer.headers["cache-control"] == "no-cache, no-store, must-revalidate"
    head = await api("HEAD", path)
    assert (head.status, head.headers["content-length"], head.headers["api-version"]) == (200, "0", "1.51")


async def test_version_and_info(api: Api, create: Create) -> None:
    version = (await api("GET", "/version")).json()
    assert (version["ApiVersion"], version["MinAPIVersion"], version["Os"]) == ("1.51", "1.24", "linux")
    await create("sleep", "1", start=True)
    info = (await api("GET", "/v1.41/info")).json()
    assert (info["Containers"], info["ContainersRunning"], info["Images"]) == (1, 1, 1)
    assert info["Swarm"]["LocalNodeState"] == "inactive"


async def test_disk_usage(api: Api, create: Create) -> None:
    await create("sleep", "1")
    await api("POST", "/volumes/create", {"Name": "v"})
    usage = (await api("GET", "/v1.51/system/df")).json()
    assert (usage["LayersSize"], usage["Images"][0]["Containers"]) == (1_984_394, 1)
    assert usage["Volumes"][0]["UsageData"] == {"RefCount": 0, "Size": 7}
    assert usage["Containers"][0]["SizeRw"] == 5
    some = (await api("GET", "/v1.51/system/df?type=volume")).json()
    assert (some.keys(), len(some["Volumes"])) == ({"Volumes"}, 1)
    assert (await api("GET", "/v1.51/system/df?type=foo")).message == "unknown object type: foo"


async def test_options(api: Api) -> None:
    assert (await api("OPTIONS", "/anything")).status == 200


async def test_events_end_at_their_time(api: Api, create: Create, world: World) -> None:
    await create("exit", "0", start=True)
    async with connected(world.socket) as client:
        await client.send(b"GET /v1.51/events?since=1 HTTP/1.1\r\n\r\n")
        assert (await client.head()).headers["content-type"] == "application/json"
        chunks = client.chunks()
        past = [await anext(chunks) for _ in range(3)]
        await create("sleep", "1", name="c2")
        live = await anext(chunks)
    assert [b'"Action":"%s"' % action in line for action, line in zip((b"create", b"start", b"die"), past, strict=True)]
    assert b'"name":"c2"' in live
