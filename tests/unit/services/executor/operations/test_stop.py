from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.executor.container import Container
from services.executor.operations import stop as module
from services.executor.operations.engine import Engine
from shared.contracts import executor as contract
from shared.contracts.common import Ref
from shared.contracts.container import RestartPolicy
from shared.contracts.executor import KillRequest, StopRequest
from shared.errors import Conflict, Internal, InvalidArgument, NotFound, NotModified
from tests.support.executor_node import Node


async def kill(node: Node, container_id: str, signal: str = "SIGKILL") -> None:
    await node.call(contract.KILL, KillRequest(id=container_id, signal=signal, reference="web"))


async def test_stop_by_the_stop_signal(node: Node) -> None:
    container_id = await node.run("sleep")
    await node.stop(container_id)
    assert node.status(container_id).exit_code == 143
    assert node.network.stacks == {}
    await node.until(lambda: node.actions(container_id) == ["create", "start", "kill", "die", "stop"])
    kill_event = next(event for event in node.events if event.action == "kill")
    assert kill_event.attributes["signal"] == "15"


async def test_stop_by_force(node: Node) -> None:
    container_id = await node.run("deaf")
    await node.stop(container_id, timeout=0)
    assert node.status(container_id).exit_code == 137
    await node.until(lambda: node.actions(container_id) == ["create", "start", "kill", "kill", "die", "stop"])


@pytest.mark.parametrize("before", [0, 1])
async def test_what_ends_by_itself_just_before_a_signal_is_stopped(
    node: Node, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """Before the first one, or when its time is over, before the last."""
    container_id = await node.run("deaf")
    send, sent = module.send, 0

    async def late(engine: Engine, container: Container, signal: int) -> None:
        nonlocal sent
        if sent == before:
            node.platform.end(container_id, 3)
            assert await container.down(60)
        sent += 1
        await send(engine, container, signal)

    monkeypatch.setattr(module, "send", late)
    await node.stop(container_id, timeout=0)
    assert node.status(container_id).exit_code == 3
    await node.until(lambda: node.actions(container_id)[-1] == "stop")
    assert sent == before + 1


async def test_stop_waits_for_ever_when_told_to(node: Node) -> None:
    container_id = await node.run("deaf", config={"stop_timeout": 0})
    stopping = asyncio.get_running_loop().create_task(node.stop(container_id, timeout=-1))
    await node.until(lambda: node.platform.count("signal") == 1)
    await asyncio.sleep(0.02)
    assert not stopping.done()
    node.platform.end(container_id, 0)
    await stopping
    assert node.platform.count("signal") == 1


async def test_stop_with_a_signal_of_ones_own(node: Node) -> None:
    container_id = await node.run("sleep", config={"stop_signal": "SIGHUP", "stop_timeout": 0})
    await node.stop(container_id)
    assert node.platform.machines == {}
    signals = [event.attributes["signal"] for event in node.events if event.action == "kill"]
    assert signals == ["1", "9"]
    with pytest.raises(InvalidArgument, match="invalid signal: FISH"):
        await _stop_with(node, "FISH")


async def _stop_with(node: Node, signal: str) -> None:
    await node.stop(await node.run("sleep"), signal=signal)


async def test_what_does_not_run(node: Node) -> None:
    container_id = await node.create("sleep")
    with pytest.raises(NotModified):
        await node.stop(container_id)
    with pytest.raises(Conflict) as caught:
        await kill(node, container_id)
    assert caught.value.message == f"cannot kill container: web: container {container_id} is not running"
    with pytest.raises(NotFound):
        await node.stop("fish")


async def test_kill_waits_for_the_end(node: Node) -> None:
    container_id = await node.run("deaf")
    await kill(node, container_id)
    assert node.status(container_id).state == "exited"


async def test_other_signals_are_only_sent(node: Node) -> None:
    container_id = await node.run("sleep")
    await kill(node, container_id, "USR1")
    assert node.platform.machines[container_id].signals == [10]
    assert node.status(container_id).state == "running"
    for signal, text in (("FISH", "invalid signal: FISH"), ("99", "does not support signal 99")):
        with pytest.raises(InvalidArgument, match=text):
            await kill(node, container_id, signal)


async def test_a_lost_report_is_asked_for(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KILL_PATIENCE", 0.01)
    node.platform.report = "never"
    container_id = await node.run("sleep")
    await kill(node, container_id)
    assert node.status(container_id).exit_code == 137


async def test_what_will_not_die(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KILL_PATIENCE", 0.01)
    container_id = await node.run("immortal")
    with pytest.raises(Internal, match="tried to kill container, but did not receive an exit event"):
        await kill(node, container_id)
    assert node.status(container_id).state == "running"


async def test_a_process_that_ended_just_before(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPORT_PATIENCE", 0.01)
    node.platform.report = "never"
    container_id = await node.run("sleep")
    node.platform.end(container_id, 4)
    await node.stop(container_id)
    assert node.status(container_id).exit_code == 4


async def test_a_paused_container_is_thawed(node: Node) -> None:
    container_id = await node.run("sleep")
    await node.call(contract.PAUSE, Ref(id=container_id))
    await node.stop(container_id)
    assert node.status(container_id).exit_code == 143
    assert node.platform.count("unpause") == 1


async def test_a_stop_is_durable_before_the_signal(node: Node) -> None:
    container_id = await node.run("deaf", restart_policy=RestartPolicy(name="always"))
    node.platform.hold("signal")
    stopping = asyncio.get_running_loop().create_task(node.stop(container_id, timeout=0))
    await node.platform.arrived("signal")
    await node.until(lambda: node.status(container_id).stopped_by_user)
    node.platform.let_go("signal")
    await stopping
    assert node.status(container_id).state == "exited"


async def test_a_signal_that_is_not_the_stop_signal_leaves_the_policy(node: Node) -> None:
    container_id = await node.run(
        "sleep", restart_policy=RestartPolicy(name="always"), config={"stop_signal": "SIGTERM"}
    )
    await kill(node, container_id, "USR1")
    await kill(node, container_id, "TERM")
    await node.in_state(container_id, "exited")
    assert node.status(container_id).runs == 1


async def waiting(node: Node, **more: Any) -> str:
    """A container that waits for a restart, for at least 0.4 seconds."""
    container_id = await node.run("exit", "1", restart_policy=RestartPolicy(name="always"), **more)
    await node.until(lambda: node.status(container_id).restart_count >= 3)
    await node.in_state(container_id, "restarting")
    return container_id


async def test_kill_calls_off_a_restart(node: Node) -> None:
    container_id = await waiting(node)
    await kill(node, container_id)
    await node.in_state(container_id, "exited")
    assert node.status(container_id).exit_code == 1
    assert "kill" not in node.actions(container_id)


async def test_a_signal_that_ends_nothing_lets_a_restart_wait(node: Node) -> None:
    container_id = await waiting(node, config={"stop_signal": "SIGTERM"})
    await kill(node, container_id, "USR1")
    await node.until(lambda: node.status(container_id).stopped_by_user)
    assert node.status(container_id).state == "restarting"
    await node.until(lambda: node.status(container_id).restart_count >= 4)


async def test_what_waits_for_a_restart_can_be_removed_or_restarted(node: Node) -> None:
    container_id = await waiting(node)
    with pytest.raises(NotModified):
        await node.begin(container_id)
    await node.call(contract.RESTART, contract.StopRequest(id=container_id))
    assert node.status(container_id).restart_count <= 1
    await node.until(lambda: node.status(container_id).restart_count >= 3)
    await node.in_state(container_id, "restarting")
    await node.remove(container_id, force=True)
    await node.gone(container_id)


async def test_stop_calls_off_a_restart(node: Node) -> None:
    container_id = await waiting(node)
    await node.stop(container_id)
    assert "kill" not in node.actions(container_id)
    runs = node.status(container_id).runs
    await asyncio.sleep(0.05)
    assert (node.status(container_id).state, node.status(container_id).runs) == ("exited", runs)


async def test_restart(node: Node) -> None:
    container_id = await node.run("sleep", auto_remove=True)
    revision = await node.call(contract.RESTART, StopRequest(id=container_id))
    await node.view.reached(revision.revision)
    assert (node.status(container_id).state, node.status(container_id).runs) == ("running", 2)
    await node.until(lambda: "restart" in node.actions(container_id))
    await node.until(
        lambda: node.actions(container_id) == ["create", "start", "kill", "die", "stop", "start", "restart"]
    )
    node.platform.end(container_id, 0)
    await node.gone(container_id)


async def test_restart_of_what_does_not_run_starts_it(node: Node) -> None:
    container_id = await node.create("sleep")
    await node.call(contract.RESTART, StopRequest(id=container_id))
    await node.in_state(container_id, "running")
    await node.until(lambda: "restart" in node.actions(container_id))
    assert node.actions(container_id) == ["create", "start", "restart"]


async def test_a_restart_that_fails(node: Node) -> None:
    container_id = await node.run("sleep")
    node.platform.fail["create"].append(Internal("boom"))
    with pytest.raises(Internal, match="Cannot restart container web: boom"):
        await node.call(contract.RESTART, StopRequest(id=container_id, reference="web"))
    assert node.status(container_id).state == "exited"
