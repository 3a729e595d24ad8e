from __future__ import annotations

from collections.abc import Awaitable, Callable

from shared.contracts.executor import CheckpointListRequest, CheckpointRef, CheckpointRequest
from tests.support.gateways import World
from tests.support.http import Answer

Api = Callable[..., Awaitable[Answer]]
Create = Callable[..., Awaitable[str]]


async def test_take_list_remove(api: Api, create: Create, world: World) -> None:
    id = await create("sleep", "1", start=True)
    taken = {"CheckpointID": "one", "CheckpointDir": "/dir", "Exit": True}
    answer = await api("POST", "/containers/c1/checkpoints", taken)
    assert (answer.status, answer.body) == (201, b"")
    asked = CheckpointRequest(id=id, checkpoint="one", directory="/dir", exit=True, reference="c1")
    assert world.executor.last() == asked
    answer = await api("GET", "/containers/c1/checkpoints?dir=/dir")
    assert (answer.status, answer.json()) == (200, [{"Name": "one"}])
    assert world.executor.last() == CheckpointListRequest(id=id, directory="/dir", reference="c1")
    answer = await api("DELETE", "/containers/c1/checkpoints/one?dir=/dir")
    assert (answer.status, answer.body) == (204, b"")
    assert world.executor.last() == CheckpointRef(id=id, checkpoint="one", directory="/dir", reference="c1")
    assert (await api("GET", "/containers/c1/checkpoints")).json() == []


async def test_refused(api: Api, create: Create) -> None:
    assert (await api("GET", "/containers/nope/checkpoints")).status == 404
    await create("sleep", "1", start=True)
    answer = await api("POST", "/containers/c1/checkpoints", {"CheckpointID": "one", "Exit": "yes"})
    assert (answer.status, answer.json()["message"]) == (400, "invalid JSON: Exit: expected bool")
