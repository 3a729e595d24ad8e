from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable

import pytest

from shared.contracts.execs import PathRequest, WriteRequest
from tests.support.gateways import World
from tests.support.http import Answer, connected

Api = Callable[..., Awaitable[Answer]]
Create = Callable[..., Awaitable[str]]


async def test_changes(api: Api, create: Create) -> None:
    await create("true")
    answer = await api("GET", "/containers/c1/changes")
    assert answer.json() == [{"Path": "/a", "Kind": 1}, {"Path": "/b", "Kind": 2}]
    assert (await api("GET", "/containers/nope/changes")).message == "No such container: nope"


async def test_export(api: Api, create: Create) -> None:
    await create("true")
    answer = await api("GET", "/containers/c1/export")
    assert (answer.status, answer.body) == (200, b"root" + bytes(1024))
    assert answer.headers["content-type"] == "application/octet-stream"


def status(answer: Answer) -> dict[str, object]:
    found: dict[str, object] = json.loads(base64.b64decode(answer.headers["x-docker-container-path-stat"]))
    return found


async def test_the_status_of_a_path(api: Api, create: Create, world: World) -> None:
    id = await create("true")
    answer = await api("HEAD", "/containers/c1/archive?path=/x/")
    assert (answer.status, status(answer)["name"], status(answer)["linkTarget"]) == (200, "f", "/t")
    assert world.executor.last() == PathRequest(id=id, path="/x/", reference="c1")
    assert (await api("HEAD", "/containers/c1/archive?path=/nope")).status == 404


async def test_an_archive_comes_with_its_status(api: Api, create: Create) -> None:
    await create("true")
    answer = await api("GET", "/containers/c1/archive?path=/x")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-tar")
    assert answer.body == b"archive" * 100_000 + bytes(1024)
    assert status(answer)["size"] == 3
    assert (await api("GET", "/containers/c1/archive?path=/nope")).message == (
        "Could not find the file /nope in container c1"
    )


async def test_half_an_archive_does_not_look_complete(create: Create, world: World) -> None:
    await create("true")
    async with connected(world.socket) as client:
        await client.send(b"GET /containers/c1/archive?path=/cut HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises((ConnectionError, EOFError, AssertionError)):
            await client.answer()


async def test_an_archive_goes_in(api: Api, create: Create, world: World) -> None:
    id = await create("true")
    answer = await api("PUT", "/containers/c1/archive?path=/d&noOverwriteDirNonDir=1&copyUIDGID=true", b"x" * 100_000)
    assert (answer.status, answer.body, world.executor.received) == (200, b"", b"x" * 100_000)
    assert world.executor.last() == WriteRequest(
        id=id, path="/d", reference="c1", no_overwrite_dir_non_dir=True, copy_uid_gid=True
    )
    answer = await api("PUT", "/containers/c1/archive?path=/d", b"bad")
    assert (answer.status, answer.message) == (400, "bad")
    assert (await api("PUT", "/containers/c1/archive?path=/d", b"dies")).status == 503
    assert (await api("PUT", "/containers/c1/archive?path=/nope", b"")).status == 404


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_path_is_needed(api: Api, create: Create, method: str) -> None:
    await create("true")
    for query in ("", "?path=", "?path=a%00b"):
        answer = await api(method, f"/containers/c1/archive{query}")
        assert (answer.status, "path" in answer.message) == (400, True)
