from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from shared.contracts import migrator
from shared.contracts.base import Empty
from shared.contracts.migrator import MigrateReply, MigrateRequest, MigrationRef, Plan
from shared.errors import Conflict, FailedPrecondition
from shared.service import Kernel
from shared.streams import Channel
from shared.testing import kernel, serving
from tests.support.gateways import World, as_far_as
from tests.support.http import Answer

Api = Callable[..., Awaitable[Answer]]
Create = Callable[..., Awaitable[str]]
PLAN = Plan(node="n", node_name="node2", strategy="cold")


class MigratorSimulator:
    """Answers, and tells two lines."""

    def __init__(self, made: Kernel) -> None:
        self._kernel = made
        self.asked: list[object] = []

    async def plan(self, request: MigrateRequest) -> Plan:
        self.asked.append(request)
        return PLAN

    async def migrate(self, request: MigrateRequest) -> MigrateReply:
        self.asked.append(request)
        if request.node == "nowhere":
            raise FailedPrecondition("no")

        async def tell(channel: Channel) -> None:
            await channel.write(b'{"step":"claim"}\n{"result":{}}\n')

        return MigrateReply(migration="m", plan=PLAN, offer=self._kernel.streams.offer(tell, framed=False))

    async def cancel(self, request: MigrationRef) -> Empty:
        self.asked.append(request)
        raise Conflict("it is too late")


@pytest.fixture
async def moving(world: World) -> AsyncIterator[MigratorSimulator]:
    """The gateway's host is in a cluster, with a migrator."""
    world.kernel.clustered = True
    async with AsyncExitStack() as stack:
        broker = world.kernel.bus.transport._broker  # type: ignore[attr-defined]
        home = world.kernel.settings.run_path.parent
        made = await stack.enter_async_context(kernel("migrator", home, broker))
        simulator = MigratorSimulator(made)
        await stack.enter_async_context(serving(made, as_far_as(migrator.CONTRACT, simulator), simulator))
        yield simulator
    world.kernel.clustered = False


async def test_progress_in_lines(api: Api, create: Create, moving: MigratorSimulator, world: World) -> None:
    world.kernel.clustered = False
    id = await create("sleep")
    world.kernel.clustered = True
    answer = await api("POST", "/containers/c1/migrate", {"Node": "node2", "Strategy": "cold"})
    assert answer.status == 200
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert [next(iter(line)) for line in lines] == ["migration", "step", "result"]
    assert moving.asked == [MigrateRequest(id=id, node="node2", strategy="cold")]
    shown = (await api("POST", "/containers/c1/migrate", {"DryRun": True})).json()
    assert shown["Node"]["Name"] == "node2"
    answer = await api("POST", "/containers/c1/migrate", {"Node": "nowhere"})
    assert (answer.status, answer.message) == (409, "no")
    answer = await api("DELETE", "/containers/c1/migrate")
    assert (answer.status, answer.message) == (409, "it is too late")
    assert moving.asked[-1] == MigrationRef(id=id)


async def test_without_a_cluster_there_is_nowhere_to_go(api: Api, create: Create) -> None:
    await create("sleep")
    for method in ("POST", "DELETE"):
        answer = await api(method, "/containers/c1/migrate", {} if method == "POST" else None)
        assert (answer.status, answer.message.partition(":")[0]) == (409, "this host is in no cluster")
    assert (await api("POST", "/containers/nope/migrate", {})).status == 404
