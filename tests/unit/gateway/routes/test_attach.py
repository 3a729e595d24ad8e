from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Awaitable, Callable

import pytest

from gateway.http.version import Version
from gateway.http.websocket import frame as ws_frame
from gateway.routes.attach import stream_type, tail
from shared.contracts import executor
from shared.streams import frame
from tests.support.gateways import World
from tests.support.http import Answer, Client, connected

Api = Callable[..., Awaitable[Answer]]
Create = Callable[..., Awaitable[str]]
UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\n"


async def attach(client: Client, query: str, headers: str = UPGRADE, version: str = "/v1.51") -> Answer:
    await client.send(f"POST {version}/containers/c1/attach?{query} HTTP/1.1\r\n{headers}\r\n".encode())
    return await client.head()


async def test_a_client_attached_before_the_start_sees_everything(api: Api, create: Create, world: World) -> None:
    await create("echo", "hello")
    async with connected(world.socket) as client:
        head = await attach(client, "stream=1&stdout=1&stderr=1")
        assert (head.status, head.headers["upgrade"]) == (101, "tcp")
        assert head.headers["content-type"] == "application/vnd.docker.multiplexed-stream"
        await api("POST", "/containers/c1/start")
        assert await client.reader.read() == frame(1, b"hello\n")


@pytest.mark.parametrize("headers", [UPGRADE, ""])
async def test_input_reaches_the_program_and_its_end_too(api: Api, create: Create, world: World, headers: str) -> None:
    await create("cat", OpenStdin=True, StdinOnce=True)
    async with connected(world.socket) as client:
        await client.send(
            f"POST /containers/c1/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n{headers}\r\n".encode() + b"early "
        )
        assert (await client.head()).status == (101 if headers else 200)
        await api("POST", "/containers/c1/start")
        assert await client.reader.readexactly(8 + 6) == frame(1, b"early ")
        await client.send(b"late")
        client.half_close()
        assert await client.reader.read() == frame(1, b"late")
    assert (await api("POST", "/containers/c1/wait")).json() == {"StatusCode": 0}


async def test_a_terminal_is_left_by_its_detach_keys(api: Api, create: Create, world: World) -> None:
    await create("cat", OpenStdin=True, Tty=True, start=True)
    async with connected(world.socket) as client:
        head = await attach(client, "stream=1&stdin=1&stdout=1&detachKeys=ctrl-a,x")
        assert head.headers["content-type"] == "application/vnd.docker.raw-stream"
        await client.send(b"ab\x01cd")
        assert await client.reader.readexactly(5) == b"ab\x01cd"
        await client.send(b"\x01")
        await client.send(b"xrest")
        assert await client.reader.read() == b""
    assert (await api("GET", "/containers/c1/json")).json()["State"]["Running"]


async def test_a_client_that_closes_ends_its_stream(create: Create, world: World) -> None:
    id = await create("sleep", "1", start=True)
    async with connected(world.socket) as client:
        await attach(client, "stream=1&stdout=1")
        machine = world.executor.machines[id]
        await machine.joined.wait()
        [channel] = machine.attached
    assert await channel.read() == b""


async def test_logs_are_replayed(api: Api, create: Create, world: World) -> None:
    await create("echo", "once", start=True)
    await api("POST", "/containers/c1/wait")
    async with connected(world.socket) as client:
        await attach(client, "logs=1&stdout=1")
        assert await client.reader.read() == frame(1, b"once\n")


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/containers/nope/attach?stream=1", 404, "No such container: nope"),
        ("/containers/c1/attach?detachKeys=shift-x", 400, "Invalid detach keys (shift-x) provided"),
    ],
)
async def test_what_cannot_be_attached(api: Api, create: Create, path: str, status: int, text: str) -> None:
    await create("sleep", "1")
    answer = await api("POST", path)
    assert (answer.status, answer.message) == (status, text)


async def test_a_paused_container_cannot_be_attached(api: Api, create: Create) -> None:
    await create("sleep", "1", start=True)
    await api("POST", "/containers/c1/pause")
    answer = await api("POST", "/containers/c1/attach?stream=1")
    assert (answer.status, answer.message) == (409, "container c1 is paused, unpause the container before attach")


async def test_logs(api: Api, create: Create, world: World) -> None:
    id = await create("echo", "line", start=True)
    await api("POST", "/containers/c1/wait")
    answer = await api("GET", "/containers/c1/logs?stdout=1&since=5.5&until=9&tail=7&timestamps=1&details=1")
    assert answer.body == frame(1, b"line\n")
    assert answer.headers["content-type"] == "application/vnd.docker.multiplexed-stream"
    assert world.executor.last() == executor.LogsRequest(
        id=id, stderr=False, since=5_500_000_000, until=9_000_000_000, tail=7, timestamps=True, details=True
    )


async def test_the_head_of_followed_logs_comes_before_any_line(api: Api, create: Create, world: World) -> None:
    id = await create("sleep", "1", start=True)
    async with connected(world.socket) as client:
        await client.send(b"GET /containers/c1/logs?stdout=1&follow=1 HTTP/1.1\r\n\r\n")
        assert (await client.head()).status == 200
        machine = world.executor.machines[id]
        await machine.write(1, b"now")
        chunks = client.chunks()
        assert await anext(chunks) == frame(1, b"now")
        await api("POST", "/containers/c1/kill")
        assert [chunk async for chunk in chunks] == []


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "Bad parameters: you must choose at least one stream"),
        ("stdout=1&since=abc", 'invalid value for "since"'),
        ("stderr=1&until=1e5", 'invalid value for "until"'),
    ],
)
async def test_wrong_logs_are_refused(api: Api, create: Create, query: str, text: str) -> None:
    await create("sleep", "1")
    answer = await api("GET", f"/containers/c1/logs?{query}")
    assert answer.status == 400
    assert text in answer.message


def test_stream_types_by_version() -> None:
    assert stream_type(True, Version(1, 51)) == stream_type(False, Version(1, 41)) != stream_type(False, Version(1, 42))


def test_tails() -> None:
    assert [tail(text) for text in ("", "all", "5", "abc", "-1", "9" * 30)] == [-1, -1, 5, -1, -1, -1]


async def test_attach_by_websocket(api: Api, create: Create, world: World) -> None:
    await create("cat", OpenStdin=True, start=True)
    key, mask = base64.b64encode(os.urandom(16)).decode(), b"\x01\x02\x03\x04"
    async with connected(world.socket) as client:
        await client.send(
            b"GET /v1.51/containers/c1/attach/ws?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key.encode() + b"\r\n\r\n"
        )
        assert (await client.head()).status == 101
        payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(b"hello"))
        await client.send(bytes((0x82, 0x80 | 5)) + mask + payload)
        assert await client.reader.readexactly(7) == ws_frame(2, b"hello")
        await client.send(bytes((0x88, 0x80)) + mask)
        assert (await asyncio.wait_for(client.reader.read(), 60))[:2] == b"\x88\x02"


async def test_a_websocket_must_be_asked_for(api: Api, create: Create) -> None:
    await create("cat", start=True)
    answer = await api("GET", "/containers/c1/attach/ws?stream=1")
    assert answer.status == 400
    assert "WebSocket" in answer.message
