from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.support.http import Answer

Api = Callable[..., Awaitable[Answer]]
Create = Callable[..., Awaitable[str]]


async def test_changes(api: Api, create: Create) -> None:
    await create("true")
    answer = await api("GET", "/containers/c1/changes")
    assert answer.json() == [{"Path": "/a", "Kind": 1}, {"Path": "/b", "Kind": 2}]
    assert (await api("GET", "/containers/nope/changes")).message == "No such container: nope"
