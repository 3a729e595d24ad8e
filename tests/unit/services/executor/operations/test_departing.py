"""A container leaves this host: what waits, what is refused, and how everything is taken back."""

from __future__ import annotations

import asyncio

import pytest

from shared.contracts import executor as contract
from shared.contracts import moving
from shared.contracts.base import Empty
from shared.contracts.common import Ref
from shared.contracts.container import Healthcheck, RestartPolicy
from shared.contracts.execs import ExecCreateRequest, ExecRef, ExecStartRequest
from shared.errors import Conflict, NotFound
from tests.support.executor_node import Node

MOVE = "m"


async def depart(node: Node, id: str) -> moving.Held:
    held: moving.Held = await node.call(moving.DEPART, moving.DepartRequest(id=id, migration=MOVE, node="node2"))
    return held


async def hold(node: Node, id: str, **more: bool) -> moving.Held:
    held: moving.Held = await node.call(moving.HOLD, moving.HoldRequest(id=id, migration=MOVE, **more))
    return held


async def stay(node: Node, id: str) -> None:
    await node.call(moving.STAY, moving.MoveRef(id=id, migration=MOVE))


async def leave(node: Node, id: str) -> None:
    """Where its processes were moved, they are no more here."""
    if node.status(id).state == "running":
        node.platform.machines.pop(id, None)
    await node.call(moving.LEAVE, moving.DepartRequest(id=id, migration=MOVE, node="node2"))


async def test_what_would_change_it_is_refused_until_it_stays(node: Node) -> None:
    id = await node.run("sleep", name="web")
    assert (await depart(node, id)).status.leaving is not None
    for refused in (
        node.call(contract.RESTART, contract.StopRequest(id=id)),
        node.call(contract.PAUSE, Ref(id=id)),
        node.call(contract.REMOVE, contract.RemoveRequest(id=id, force=True)),
        node.call(contract.RENAME, contract.RenameRequest(id=id, name="other")),
        node.call(contract.UPDATE, contract.UpdateRequest(id=id)),
    ):
        with pytest.raises(Conflict, match="container web is being migrated"):
            await refused
    await stay(node, id)
    await stay(node, id)
    await node.call(contract.RENAME, contract.RenameRequest(id=id, name="other"))
    assert node.status(id).leaving is None


async def test_while_it_is_held_everything_waits_and_then_follows(node: Node) -> None:
    id = await node.run("sleep", name="web")
    await depart(node, id)
    await hold(node, id)
    killing = asyncio.ensure_future(node.call(contract.KILL, contract.KillRequest(id=id)))
    await node.until(lambda: len(node.executor._engine.registry.get(id).lock._waiters or ()) == 1)
    await leave(node, id)
    with pytest.raises(NotFound) as told:
        await killing
    assert told.value.details == {"moved_to": "node2"}
    with pytest.raises(NotFound) as told:
        await node.call(contract.TOP, contract.TopRequest(id=id))
    assert told.value.details == {"moved_to": "node2"}
    await node.view.reached(node.state._revision)
    assert node.status(id).moved_to == "node2"


async def test_what_left_is_cleared_away_without_an_end(node: Node) -> None:
    id = await node.run("sleep", name="web", binds=("data:/data",))
    await depart(node, id)
    await hold(node, id)
    await leave(node, id)
    for _ in range(2):
        await node.call(moving.GIVE_UP, moving.MoveRef(id=id, migration=MOVE))
    await node.gone(id)
    assert not node.volume.volumes
    assert not {"die", "destroy", "stop"} & set(node.actions(id))
    assert await node.create("sleep", name="web")


async def test_one_that_is_stopped_for_it_runs_again_when_it_stays(node: Node) -> None:
    id = await node.run("sleep", auto_remove=True)
    await depart(node, id)
    assert (await hold(node, id, stop=True)).ran
    assert node.status(id).state == "exited"
    await stay(node, id)
    await node.in_state(id, "running")


@pytest.mark.parametrize("stop", [True, False])
async def test_a_crash_while_it_is_held_changes_nothing(node: Node, stop: bool) -> None:
    id = await node.run("sleep", auto_remove=True, restart_policy=RestartPolicy(name="no"))
    await depart(node, id)
    await hold(node, id, stop=stop)
    await node.die()
    await node.boot()
    (move,) = (await node.call(moving.MOVES, Empty())).moves
    assert (move.role, move.migration) == ("leaving", MOVE)
    assert (await hold(node, id, stop=stop)).ran is stop
    await stay(node, id)
    await node.in_state(id, "running")
    assert (await node.call(moving.MOVES, Empty())).moves == ()


async def test_a_crash_after_it_left(node: Node) -> None:
    id = await node.run("sleep", name="web")
    await depart(node, id)
    await hold(node, id)
    await leave(node, id)
    await node.die()
    await node.boot()
    assert id in node.image_store.snapshots  # its migrator says when it may go
    (move,) = (await node.call(moving.MOVES, Empty())).moves
    assert move.role == "departed"
    await leave(node, id)
    await node.call(moving.GIVE_UP, moving.MoveRef(id=id, migration=MOVE))
    await node.gone(id)


async def test_execs_are_a_reason_not_to_or_end(node: Node) -> None:
    id = await node.run("sleep")
    made = await node.call(contract.EXEC_CREATE, ExecCreateRequest(id=id, cmd=("sleep",)))
    await node.call(contract.EXEC_START, ExecStartRequest(exec_id=made.exec_id, detach=True))
    await depart(node, id)
    with pytest.raises(Conflict, match="an exec runs in container"):
        await hold(node, id)
    await hold(node, id, kill_execs=True)
    state = await node.call(contract.EXEC_INSPECT, ExecRef(exec_id=made.exec_id))
    assert not state.running


async def test_health_is_looked_at_again_when_it_stays(node: Node) -> None:
    check = Healthcheck(test=("CMD", "true"), interval=3600 * 10**9)
    id = await node.run("sleep", config={"healthcheck": check})
    await depart(node, id)
    await hold(node, id)
    container = node.executor._engine.registry.get(id)
    assert container.probing is None
    await stay(node, id)
    assert container.probing is not None


async def test_another_migrations_words_change_nothing(node: Node) -> None:
    id = await node.run("sleep")
    await depart(node, id)
    await node.call(moving.STAY, moving.MoveRef(id=id, migration="other"))
    with pytest.raises(Conflict, match="broken off"):
        await node.call(moving.HOLD, moving.HoldRequest(id=id, migration="other"))
    with pytest.raises(Conflict, match="already"):
        await node.call(moving.DEPART, moving.DepartRequest(id=id, migration="other", node="node2"))
    assert node.executor._engine.registry.get(id).status.leaving is not None
