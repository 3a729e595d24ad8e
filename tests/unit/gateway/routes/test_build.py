from __future__ import annotations

from collections.abc import Awaitable, Callable

from shared.contracts import builder
from tests.support.gateways import World
from tests.support.http import Answer, connected

Api = Callable[..., Awaitable[Answer]]


async def test_the_context_goes_in_and_lines_come_out(api: Api, world: World) -> None:
    answer = await api("POST", "/build?t=a&nocache=1", b"x" * 300_000)
    assert answer.json() == {"stream": "300000"}
    asked = world.builder.last()
    assert isinstance(asked, builder.BuildRequest)
    assert (asked.tags, asked.no_cache) == (("a",), True)


async def test_errors(api: Api) -> None:
    for query, status, message in (
        ("dockerfile=refused", 400, "refused"),
        ("dockerfile=wrong", 400, "wrong"),
        ("squash=1", 501, "building with squash is not supported"),
        ("dockerfile=gone", 503, "the builder ended before the build; try again"),
    ):
        answer = await api("POST", f"/build?{query}", b"x")
        assert (answer.status, answer.message) == (status, message)


async def test_a_builder_that_ends_half_way_leaves_an_error_line(api: Api) -> None:
    answer = await api("POST", "/build?dockerfile=broken", b"x")
    assert answer.status == 200
    assert answer.body.endswith(b'"error":"the builder ended before the build; try again"}\r\n')


async def test_a_client_that_leaves(world: World) -> None:
    async with connected(world.socket) as client:
        await client.send(b"POST /build HTTP/1.1\r\nContent-Length: 1000\r\n\r\nhalf")
    async with connected(world.socket) as client:
        await client.send(b"GET /_ping HTTP/1.1\r\n\r\n")
        assert (await client.answer()).status == 200


async def test_prune_and_cancel(api: Api, world: World) -> None:
    answer = await api("POST", "/build/prune?all=1&keep-storage=7")
    assert answer.json() == {"CachesDeleted": ["a"], "SpaceReclaimed": 5}
    assert world.builder.last() == builder.PruneRequest(all=True, keep=7)
    assert (await api("POST", '/build/prune?filters={"label":["a"],"label!":["b"]}')).status == 200  # system prune
    assert (await api("POST", '/build/prune?filters={"name":["a"]}')).message == "invalid filter 'name'"
    assert (await api("POST", "/build/cancel?id=x")).status == 200
    assert world.builder.last() == builder.CancelRequest(id="x")
    assert (await api("POST", "/build/cancel")).message == "build ID not provided"
