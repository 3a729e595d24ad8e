from __future__ import annotations

from collections.abc import Awaitable, Callable

from shared.contracts import executor
from shared.contracts.container import ContainerConfig
from tests.support.gateways import World
from tests.support.http import Answer

Api = Callable[..., Awaitable[Answer]]
Create = Callable[..., Awaitable[str]]


async def test_all_that_can_be_said(api: Api, create: Create, world: World) -> None:
    id = await create("true")
    query = "container=c1&repo=r&tag=t&comment=why&author=me&pause=0&changes=USER%20u&changes=CMD%20x"
    answer = await api("POST", f"/commit?{query}", {"User": "v"})
    assert (answer.status, answer.json()) == (201, {"Id": "sha256:" + "cd" * 32})
    assert world.executor.last() == executor.CommitRequest(
        id=id, config=ContainerConfig(user="v"), changes=("USER u", "CMD x"), author="me", comment="why",
        repository="r", tag="t", pause=False,
    )  # fmt: skip


async def test_little_said(api: Api, create: Create, world: World) -> None:
    id = await create("true")
    assert (await api("POST", f"/commit?container={id[:12]}")).status == 201
    assert world.executor.last() == executor.CommitRequest(id=id)


async def test_of_what_is_not_there(api: Api) -> None:
    answer = await api("POST", "/commit?container=nope")
    assert (answer.status, answer.message) == (404, "No such container: nope")
    assert (await api("POST", "/commit?container=nope", "text")).status == 400
