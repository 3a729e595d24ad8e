from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.support.http import Answer

Api = Callable[..., Awaitable[Answer]]
Create = Callable[..., Awaitable[str]]


@pytest.mark.parametrize(
    ("method", "path", "what"),
    [
        ("GET", "/plugins/privileges?remote=x", "docker plugin"),
        ("POST", "/grpc", "BuildKit"),
    ],
)
async def test_what_is_missing_says_so(api: Api, create: Create, method: str, path: str, what: str) -> None:
    await create("sleep", "1")
    answer = await api(method, path)
    assert answer.status == 501
    assert what in answer.message


async def test_the_container_must_be_there_first(api: Api) -> None:
    assert (await api("GET", "/containers/nope/stats")).message == "No such container: nope"


async def test_plugins_are_empty(api: Api) -> None:
    assert (await api("GET", "/plugins")).json() == []
    assert (await api("GET", "/plugins/a/b:1/json")).message == 'plugin "a/b:1" not found'
    assert (await api("GET", "/debug/pprof/heap")).message == "page not found"
