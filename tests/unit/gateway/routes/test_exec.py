from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared.contracts import executor
from shared.contracts.execs import ExecStartRequest
from shared.errors import Conflict, InvalidArgument
from shared.streams import frame
from tests.support.gateways import World
from tests.support.http import Answer, connected

Api = Callable[..., Awaitable[Answer]]
Create = Callable[..., Awaitable[str]]


async def created(api: Api, *command: str, **more: object) -> str:
    answer = await api("POST", "/containers/c1/exec", {"Cmd": list(command), "AttachStdout": True, **more})
    assert answer.status == 201, answer.body
    id: str = answer.json()["Id"]
    return id


async def test_output_comes_over_the_hijacked_connection(api: Api, create: Create, world: World) -> None:
    await create("sleep", "1", start=True)
    id = await created(api, "echo", "hi")
    body = b'{"Detach":false,"Tty":false}'
    async with connected(world.socket) as client:
        await client.send(
            f"POST /v1.51/exec/{id}/start HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await client.head()
        assert (head.status, head.headers["content-type"]) == (101, "application/vnd.docker.multiplexed-stream")
        assert await client.reader.read() == frame(1, b"hi\n")


async def test_what_cannot_be_refused_is_answered_at_once(api: Api, create: Create, world: World) -> None:
    """What the executor has against it after all is told by the start."""
    await create("sleep", "1", start=True)
    world.executor.fail["exec_create"] = Conflict("container c1 is not running")
    id = await created(api, "echo", "hi")
    answer = await api("POST", f"/exec/{id}/start", {"Detach": True})
    assert (answer.status, answer.message) == (409, "container c1 is not running")
    world.executor.fail["exec_create"] = InvalidArgument("invalid environment variable: =x")
    answer = await api("POST", "/containers/c1/exec", {"Cmd": ["ls"], "Env": ["=x"]})
    assert (answer.status, answer.message) == (400, "invalid environment variable: =x")


async def test_whether_what_it_links_to_runs_is_waited_for(api: Api, create: Create, world: World) -> None:
    await create("sleep", "1", start=True, HostConfig={"Links": ["db:store"]})
    world.executor.fail["exec_create"] = Conflict("Cannot link to a non running container: /db AS /c1/store")
    answer = await api("POST", "/containers/c1/exec", {"Cmd": ["ls"]})
    assert (answer.status, answer.message) == (409, "Cannot link to a non running container: /db AS /c1/store")


async def test_input_ends_by_half_close(api: Api, create: Create, world: World) -> None:
    await create("sleep", "1", start=True)
    id = await created(api, "cat", AttachStdin=True)
    async with connected(world.socket) as client:
        await client.send(
            f"POST /exec/{id}/start HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
            "{}words".encode()
        )
        client.half_close()
        assert (await client.head()).status == 200
        assert await client.reader.read() == frame(1, b"words")


async def test_the_start_says_whether_there_are_frames(api: Api, create: Create, world: World) -> None:
    await create("sleep", "1", start=True)
    terminal, plain = await created(api, "echo", "hi", Tty=True), await created(api, "echo", "hi")
    assert (await api("POST", f"/exec/{terminal}/start", {"Tty": False})).body == frame(1, b"hi\n")
    assert (await api("POST", f"/exec/{plain}/start", {"Tty": True})).body == b"hi\n"


async def test_detach_keys_are_told(api: Api, create: Create, world: World) -> None:
    container = await create("sleep", "1", start=True)
    id = await created(api, "cat", AttachStdin=True, Tty=True, DetachKeys="a,b")
    async with connected(world.socket) as client:
        await client.send(
            f"POST /exec/{id}/start HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
            '{"Tty":true}ab'.encode()
        )
        assert (await client.head()).status == 200
        assert await client.reader.read() == b""
    async with asyncio.timeout(60):
        while world.executor.last() != executor.DetachedRequest(id=container, exec_id=id):  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_detached(api: Api, create: Create, world: World) -> None:
    await create("sleep", "1", start=True)
    id = await created(api, "true")
    assert (await api("POST", f"/exec/{id}/start", {"Detach": True})).status == 200
    assert world.executor.last() == ExecStartRequest(exec_id=id, detach=True)
    shown = (await api("GET", f"/exec/{id}/json")).json()
    assert (shown["ExitCode"], shown["ProcessConfig"]["entrypoint"]) == (0, "true")


async def test_a_program_that_cannot_start_says_so_on_the_stream(api: Api, create: Create, world: World) -> None:
    await create("sleep", "1", start=True)
    id = await created(api, "nosuch")
    world.executor.fail["exec_start"] = InvalidArgument("exec failed: not found")
    answer = await api("POST", f"/exec/{id}/start", {"Tty": True})
    assert (answer.status, answer.body) == (200, b"exec failed: not found\r\n")


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/containers/c1/exec", {}, 400, "No exec command specified"),
        ("/containers/nope/exec", {"Cmd": ["x"]}, 404, "No such container: nope"),
        ("/containers/c1/exec", {"Cmd": ["x"], "DetachKeys": "no-key"}, 400, "Invalid escape keys"),
        ("/containers/c1/exec", {"Cmd": ["x"], "Env": "x"}, 400, "ExecConfig.Env"),
        ("/exec/abc/start", {}, 404, "No such exec instance: abc"),
        ("/exec/abc/start", {"Detach": True}, 404, "No such exec instance: abc"),
        ("/exec/abc/start", {"Detach": "yes"}, 400, "ExecStartConfig.Detach"),
        ("/exec/abc/resize?h=1", None, 400, "invalid resize width"),
    ],
)
async def test_wrong_requests(api: Api, create: Create, path: str, body: object, status: int, text: str) -> None:
    await create("sleep", "1", start=True)
    answer = await api("POST", path, body)
    assert answer.status == status
    assert text in answer.message


async def test_resize_and_a_missing_instance(api: Api, create: Create, world: World) -> None:
    container = await create("sleep", "1", start=True)
    id = await created(api, "sh", Tty=True)
    assert (await api("POST", f"/exec/{id}/resize?h=2&w=3")).status == 200
    assert world.executor.last() == executor.ResizeRequest(id=container, exec_id=id, height=2, width=3)
    for path in ("/exec/abc/json", "/exec/abc/resize?h=1&w=1"):
        answer = await api("GET" if path.endswith("json") else "POST", path)
        assert (answer.status, answer.message) == (404, "No such exec instance: abc")
