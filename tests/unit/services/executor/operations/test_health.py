"""Probes of simulated containers: intervals are as short as Docker allows, and every wait is for something told."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.contracts import executor as contract
from shared.contracts import platform
from shared.contracts.common import Ref
from shared.contracts.container import Health, Healthcheck
from shared.errors import InvalidArgument, Unavailable
from shared.streams import frame
from tests.support.executor_node import Node

MS = 1_000_000
LONG = 3600 * 1000 * MS


async def checked(node: Node, *test: str, interval: int = MS, **more: Any) -> str:
    asked = Healthcheck(test=test or ("CMD", "probe"), interval=interval, **more)
    return await node.run("sleep", config={"healthcheck": asked})


def health(node: Node, container_id: str) -> Health:
    found = node.status(container_id).health
    assert found is not None
    return found


async def answer(node: Node, container_id: str, code: int, number: int = 0) -> str:
    """Ends the probe that was begun as the `number`-th (0: the latest)."""
    before = len(node.platform.told)
    probes = node.platform.requests("exec")
    if number == 0:
        await node.until(lambda: node.platform.count("exec") > before)
        probes = node.platform.requests("exec")
    asked = probes[number - 1]
    assert isinstance(asked, platform.ExecRequest)
    node.platform.end_exec(asked.exec_id, container_id, code)
    return asked.exec_id


async def test_healthy_after_the_first_success(node: Node) -> None:
    node.platform.says = frame(1, b"fine\n") + frame(2, b"really\n")
    container_id = await checked(node, "CMD-SHELL", "curl x | grep y")
    assert health(node, container_id) == Health(status="starting")
    await node.until(lambda: node.platform.count("exec") == 1)
    asked = node.platform.requests("exec")[0]
    assert isinstance(asked, platform.ExecRequest)
    assert asked.process.args == ("/bin/sh", "-c", "curl x | grep y")
    await node.until(lambda: health(node, container_id).probe == asked.exec_id)
    assert node.status(container_id).exec_ids == (asked.exec_id,)
    await answer(node, container_id, 0)
    await node.until(lambda: health(node, container_id).status == "healthy")
    state = health(node, container_id)
    assert (state.failing_streak, state.probe, node.status(container_id).exec_ids) == (0, "", ())
    assert [(entry.exit_code, entry.output) for entry in state.log] == [(0, "fine\nreally\n")]
    assert state.log[0].start <= state.log[0].end
    await node.until(lambda: "health_status: healthy" in node.actions(container_id))
    told = [action.partition(" ")[0] for action in node.actions(container_id)][2:6]
    assert told == ["exec_create:", "exec_start:", "exec_die", "health_status:"]


async def test_unhealthy_after_as_many_failures_as_allowed(node: Node) -> None:
    container_id = await checked(node, retries=2)
    await answer(node, container_id, 1)
    await node.until(lambda: health(node, container_id).failing_streak == 1)
    assert health(node, container_id).status == "starting"
    await answer(node, container_id, 1)
    await node.until(lambda: health(node, container_id).status == "unhealthy")
    await answer(node, container_id, 0)
    await node.until(lambda: health(node, container_id).status == "healthy")
    statuses = [action for action in node.actions(container_id) if action.startswith("health_status")]
    await node.until(lambda: len([a for a in node.actions(container_id) if a.startswith("health_status")]) == 2)
    assert statuses[0] == "health_status: unhealthy"


async def test_a_probe_that_takes_too_long_is_killed(node: Node) -> None:
    node.platform.says = frame(1, b"so far")
    container_id = await checked(node, timeout=MS)
    await node.until(lambda: len(health(node, container_id).log) > 0)
    entry = health(node, container_id).log[0]
    assert (entry.exit_code, entry.output) in (
        (-1, "Health check exceeded timeout (1ms): so far"),
        (-1, "Health check exceeded timeout (1ms)"),
    )
    killed = node.platform.requests("signal")[0]
    assert isinstance(killed, platform.SignalRequest)
    assert (killed.signal, bool(killed.exec_id)) == (9, True)


async def test_what_cannot_be_run_is_a_failure(node: Node) -> None:
    node.platform.fail["exec"].append(InvalidArgument("executable file not found in $PATH"))
    container_id = await checked(node)
    await node.until(lambda: len(health(node, container_id).log) > 0)
    entry = health(node, container_id).log[0]
    assert (entry.exit_code, entry.output) == (-1, "executable file not found in $PATH")


async def test_no_command(node: Node) -> None:
    container_id = await checked(node, "CMD")
    await node.until(lambda: len(health(node, container_id).log) > 0)
    assert health(node, container_id).log[0].output == f"healthcheck for container {container_id} has no command"
    assert node.platform.count("exec") == 0


async def test_an_engine_in_the_way_says_nothing_about_the_container(node: Node) -> None:
    node.platform.fail["exec"] += [Unavailable("away"), Unavailable("away")]
    container_id = await checked(node, retries=1)
    await node.until(lambda: node.platform.count("exec") == 3)
    assert health(node, container_id).log == ()
    asked = node.platform.requests("exec")[-1]
    assert isinstance(asked, platform.ExecRequest)
    node.platform.end_exec(asked.exec_id, container_id, 0)
    await node.until(lambda: health(node, container_id).status == "healthy")


async def test_no_check_at_all(node: Node) -> None:
    container_id = await checked(node, "NONE")
    plain = await node.run("sleep")
    assert node.status(container_id).health is node.status(plain).health is None


async def test_a_pause_ends_the_probe_and_nothing_is_known_until_the_next(node: Node) -> None:
    container_id = await checked(node, interval=MS)
    await answer(node, container_id, 0)
    await node.until(lambda: node.platform.count("exec") == 2)
    done = await node.call(contract.PAUSE, Ref(id=container_id))
    await node.view.reached(done.revision)
    assert health(node, container_id).status == "unhealthy"
    await node.until(lambda: node.platform.count("signal") == 1)
    await node.until(lambda: node.status(container_id).exec_ids == ())
    done = await node.call(contract.UNPAUSE, Ref(id=container_id))
    await node.view.reached(done.revision)
    await node.until(lambda: node.platform.count("exec") == 3)
    asked = node.platform.requests("exec")[-1]
    assert isinstance(asked, platform.ExecRequest)
    node.platform.end_exec(asked.exec_id, container_id, 0)
    await node.until(lambda: health(node, container_id).status == "healthy")


async def test_an_end_is_unhealthy_and_a_start_begins_anew(node: Node) -> None:
    container_id = await checked(node)
    await answer(node, container_id, 0)
    await node.until(lambda: health(node, container_id).status == "healthy")
    await node.stop(container_id)
    assert health(node, container_id).status == "unhealthy"
    probes = node.platform.count("exec")
    await node.begin(container_id)
    state = health(node, container_id)
    assert (state.status, state.failing_streak, len(state.log)) == ("starting", 0, 1)
    await node.until(lambda: node.platform.count("exec") > probes)


async def test_another_executor_goes_on(node: Node) -> None:
    container_id = await checked(node, interval=LONG)
    await node.die()
    stored = node.view.get(contract.STATUSES, container_id)
    assert stored is not None
    left = Health(status="healthy", probe="p" * 64)
    last = msgspec.structs.replace(stored.value, health=left, exec_ids=("p" * 64,), started_at=1)
    await node.state.update(contract.STATUSES, container_id, value=last, revision=stored.revision)
    await node.boot()
    await node.until(lambda: node.platform.count("exec") == 1)  # it was due long ago
    killed = node.platform.requests("signal")[0]
    assert isinstance(killed, platform.SignalRequest)
    assert killed.exec_id == "p" * 64
    asked = node.platform.requests("exec")[0]
    assert isinstance(asked, platform.ExecRequest)
    node.platform.end_exec(asked.exec_id, container_id, 0)
    await node.until(lambda: len(health(node, container_id).log) == 1)
    assert node.status(container_id).exec_ids == ()


async def test_a_platform_that_starts_anew_changes_nothing(node: Node) -> None:
    container_id = await checked(node, interval=MS)
    await node.until(lambda: node.platform.count("exec") == 1)
    await node.vanish(platform.CONTRACT)
    await node.serve(platform.CONTRACT, node.platform)
    asked = node.platform.requests("exec")[0]
    assert isinstance(asked, platform.ExecRequest)
    node.platform.end_exec(asked.exec_id, container_id, 0)
    await node.until(lambda: health(node, container_id).status == "healthy")


async def test_removal_ends_it(node: Node) -> None:
    container_id = await checked(node)
    await node.until(lambda: node.platform.count("exec") == 1)
    await node.remove(container_id, force=True)
    await node.gone(container_id)
    probes = node.platform.count("exec")
    await node.run("true")
    assert node.platform.count("exec") == probes
