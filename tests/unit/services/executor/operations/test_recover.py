"""Executors that die, hosts that go down, signals that get lost."""

from __future__ import annotations

import asyncio
import copy
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from services.executor.domain import lifecycle
from shared.contracts import executor as contract
from shared.contracts import platform
from shared.contracts.common import NameRecord
from shared.contracts.container import ContainerStatus, RestartPolicy
from shared.errors import ShoalError
from tests.support.executor_node import Crash, Node

ALWAYS = RestartPolicy(name="always")


async def test_what_runs_goes_on_and_what_ended_is_recorded(node: Node) -> None:
    running, ended, removed = [await node.run("sleep", auto_remove=auto) for auto in (False, False, True)]
    await node.die()
    node.platform.end(ended, 3)
    node.platform.end(removed, 4)
    await node.boot()
    assert node.status(running).state == "running"
    await node.in_state(ended, "exited")
    assert node.status(ended).exit_code == 3
    await node.gone(removed)
    node.platform.end(running, 5)
    await node.in_state(running, "exited")
    assert node.status(running).exit_code == 5
    await node.begin(running)
    assert node.status(running).runs == 2


async def test_a_policy_is_kept_over_a_crash(node: Node) -> None:
    container_id = await node.run("sleep", restart_policy=ALWAYS)
    await node.die()
    node.platform.end(container_id, 1)
    await node.boot()
    await node.until(lambda: node.status(container_id).runs == 2 and node.status(container_id).state == "running")
    assert node.status(container_id).restart_count == 1


async def test_a_crash_while_waiting_for_a_restart(node: Node) -> None:
    container_id = await node.run("sleep", restart_policy=ALWAYS)
    node.platform.end(container_id, 1)
    await node.in_state(container_id, "restarting")
    await node.die()
    await node.boot()
    await node.in_state(container_id, "running")
    assert node.status(container_id).restart_count == 1


async def test_a_crash_does_not_shorten_the_wait(node: Node) -> None:
    container_id = await node.run("exit", "1", restart_policy=ALWAYS)
    await node.until(lambda: node.status(container_id).restart_count == 2)
    await node.die()
    entry = node.view.get(contract.STATUSES, container_id)
    assert entry is not None
    minute = msgspec.structs.replace(entry.value, restart_delay=60 * 10**9)
    await node.state.update(contract.STATUSES, container_id, value=minute, revision=entry.revision)
    await node.boot()
    assert node.status(container_id).state == "restarting"
    assert node.executor._engine.registry.get(container_id).retry is not None
    await node.stop(container_id)
    assert node.status(container_id).state == "exited"


async def test_the_host_went_down(node: Node) -> None:
    plain = await node.run("sleep")
    always = await node.run("sleep", restart_policy=ALWAYS, name="donor")
    joining = await node.run("sleep", restart_policy=ALWAYS, network_mode="container:donor")
    stopped = await node.run("sleep", restart_policy=ALWAYS)
    resting = await node.run("sleep", restart_policy=RestartPolicy(name="unless-stopped"))
    never = await node.create("sleep", restart_policy=ALWAYS)
    removed = await node.run("sleep", auto_remove=True)
    await node.stop(stopped)
    await node.stop(resting)
    await node.reboot()
    await node.until(lambda: all(node.status(each).state == "running" for each in (always, joining, stopped)))
    assert (node.status(plain).state, node.status(plain).exit_code) == ("exited", 255)
    assert node.status(resting).state == "exited"
    assert node.status(never).state == "created"
    await node.gone(removed)


async def test_a_crash_alone_brings_back_nothing_that_a_client_stopped(node: Node) -> None:
    container_id = await node.run("sleep", restart_policy=ALWAYS)
    await node.stop(container_id)
    await node.die()
    await node.boot()
    assert node.status(container_id).state == "exited"


async def test_a_start_that_nobody_wrote_down(node: Node) -> None:
    container_id = await node.run("sleep")
    status = node.view.get(contract.STATUSES, container_id)
    assert status is not None
    await node.die()
    await node.state.update(contract.STATUSES, container_id, value=ContainerStatus(), revision=status.revision)
    await node.boot()
    await node.in_state(container_id, "running")
    assert node.status(container_id).networks["bridge"].ip_address


async def test_remains_are_cleared_away(node: Node) -> None:
    stranger = "f" * 64
    container_id = await node.run("sleep")
    await node.die()
    node.platform.machines[stranger] = copy.copy(node.platform.machines[container_id])
    node.network.stacks[stranger] = node.network.stacks[container_id]
    await node.state.create(contract.NAMES, "ghost", value=NameRecord(id=stranger, node="node1"))
    await node.state.create(contract.NAMES, "elsewhere", value=NameRecord(id="e" * 64, node="node2"))
    await node.boot()
    await node.until(lambda: stranger not in node.platform.machines and stranger not in node.network.stacks)
    assert node.view.get(contract.NAMES, "ghost") is None
    assert node.view.get(contract.NAMES, "elsewhere") is not None
    assert node.status(container_id).state == "running"


async def test_paused_behind_the_executors_back(node: Node) -> None:
    container_id = await node.run("sleep")
    await node.die()
    node.platform.machines[container_id].state = "paused"
    await node.boot()
    await node.in_state(container_id, "paused")
    assert node.status(container_id).runs == 1


@pytest.mark.parametrize("how", ["platform", "broker"])
async def test_reports_that_got_lost(node: Node, how: str) -> None:
    container_id, other = await node.run("sleep"), await node.run("sleep")
    node.platform.report = "never"
    node.platform.end(container_id, 6)
    if how == "platform":
        await node.vanish(platform.CONTRACT)
        await node.serve(platform.CONTRACT, node.platform)
    else:
        node.executor.reconnected()
    await node.in_state(container_id, "exited")
    assert node.status(container_id).exit_code == 6
    assert node.status(other).state == "running"


async def test_what_is_made_while_the_host_is_looked_at_is_left_alone(node: Node) -> None:
    node.platform.hold("list")
    node.executor.reconnected()
    await node.platform.arrived("list")
    container_id = await node.run("sleep")
    node.platform.let_go("list")
    await node.until(lambda: len(node.executor._engine.tasks) == 0)
    assert node.status(container_id).state == "running"
    assert node.platform.machines[container_id].state == "running"


async def test_a_neighbour_that_starts_later(node: Node) -> None:
    container_id = await node.run("sleep")
    await node.die()
    await node.vanish(platform.CONTRACT)
    booting = asyncio.get_running_loop().create_task(node.boot())
    await asyncio.sleep(0.02)
    assert not booting.done()
    await node.serve(platform.CONTRACT, node.platform)
    await booting
    assert node.status(container_id).state == "running"


Scenario = Callable[[Node], Awaitable[object]]


async def whole_life(node: Node) -> None:
    container_id = await node.create("sleep", name="web", image="redis", binds=("named:/n",))
    await node.begin(container_id)
    await node.stop(container_id, timeout=0)
    await node.remove(container_id, volumes=True)


async def removes_itself(node: Node) -> None:
    container_id = await node.run("true", name="web", auto_remove=True)
    await node.until(lambda: node.spec(container_id) is None)


async def removes_itself_with_volumes(node: Node) -> None:
    container_id = await node.run("true", image="redis", config={"entrypoint": ("true",)}, auto_remove=True)
    await node.until(lambda: node.spec(container_id) is None)


async def restarts_by_policy(node: Node) -> None:
    container_id = await node.run("sleep", restart_policy=ALWAYS)
    node.platform.end(container_id, 1)
    await node.until(lambda: node.status(container_id).runs == 2)
    await node.stop(container_id)


async def renamed(node: Node) -> None:
    container_id = await node.run("sleep", name="old")
    await node.call(contract.RENAME, contract.RenameRequest(id=container_id, name="new"))


async def fails_to_start(node: Node) -> None:
    container_id = await node.create("sleep", auto_remove=True)
    node.network.fail["sandbox"].append(ShoalError("boom"))
    with pytest.raises(ShoalError):
        await node.begin(container_id)


async def committed(node: Node) -> None:
    container_id = await node.run("sleep")
    await node.call(contract.COMMIT, contract.CommitRequest(id=container_id))
    assert node.platform.machines[container_id].state == "running"


SCENARIOS = (
    whole_life,
    committed,
    removes_itself,
    removes_itself_with_volumes,
    restarts_by_policy,
    renamed,
    fails_to_start,
)


async def crashed_at(step: int, scenario: Scenario) -> bool:
    """Plays a scenario on an executor that dies at a step, lets another take over, checks what is left.

    Whether the crash came before the scenario ended.
    """
    with tempfile.TemporaryDirectory(prefix="shoal") as directory:
        node, crash = Node(Path(directory)), Crash(step)
        await node.open()
        try:
            booting = asyncio.get_running_loop().create_task(node.boot(crash))
            playing = asyncio.get_running_loop().create_task(_play(node, booting, scenario))
            struck = asyncio.get_running_loop().create_task(crash.happened.wait())
            await asyncio.wait((playing, struck), return_when=asyncio.FIRST_COMPLETED)
            for task in (playing, booting, struck):
                task.cancel()
            crash.end()
            await asyncio.gather(playing, booting, struck, return_exceptions=True)
            await node.die()
            await node.boot()
            await _settled(node)
            return crash.happened.is_set()
        finally:
            await node.close()


async def _play(node: Node, booting: asyncio.Task[None], scenario: Scenario) -> None:
    await booting
    await scenario(node)


async def _settled(node: Node) -> None:
    """Records and host agree, and nothing is left over."""
    await node.until(lambda: not node.leftovers())
    for parts, entry in node.view.items(contract.SPECS):
        container_id, spec = parts[0], entry.value
        await node.until(
            lambda container_id=container_id: (
                (node.status(container_id).state in lifecycle.ALIVE)  # type: ignore[misc]
                is (container_id in node.platform.machines)
            )
        )
        await node.until(lambda container_id=container_id: not node.status(container_id).held)  # type: ignore[misc]
        assert "paused" not in {machine.state for machine in node.platform.machines.values()}
        name = node.view.get(contract.NAMES, spec.name)
        assert name is not None
        assert name.value.id == container_id
    assert {entry.value.id for _, entry in node.view.items(contract.NAMES)} == {
        parts[0] for parts, _ in node.view.items(contract.SPECS)
    }
    used = {point.name for _, entry in node.view.items(contract.SPECS) for point in entry.value.mounts}
    unused = {name for name, volume in node.volume.volumes.items() if volume.anonymous} - used
    assert not unused, "an anonymous volume whose container was never recorded"


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_a_crash_at_every_step(scenario: Scenario) -> None:
    step, struck = 0, True
    while struck:
        step += 1
        struck = await crashed_at(step, scenario)
    assert step > 10


async def test_a_volume_that_is_to_stay_survives_a_crash_of_the_removal(node: Node) -> None:
    container_id = await node.create("sleep", image="redis", config={"entrypoint": ("sleep",)})
    node.image_store.hold("release")
    await node.remove(container_id)
    await node.image_store.arrived("release")
    await node.die()
    node.image_store.let_go("release")
    await node.boot()
    await node.gone(container_id)
    assert [volume.anonymous for volume in node.volume.volumes.values()] == [True]


async def test_a_crash_between_the_spec_and_the_end_of_making(node: Node) -> None:
    container_id = await node.create("sleep", image="redis", config={"entrypoint": ("sleep",)})
    await node.die()
    placement = node.view.get(contract.PLACEMENTS, container_id)
    assert placement is not None
    assert placement.value.making == ()
    half = msgspec.structs.replace(placement.value, making=tuple(node.volume.volumes))
    await node.state.update(contract.PLACEMENTS, container_id, value=half, revision=placement.revision)
    await node.boot()
    assert node.view.get(contract.PLACEMENTS, container_id).value.making == ()  # type: ignore[union-attr]
    await node.remove(container_id)
    await node.gone(container_id)
    assert len(node.volume.volumes) == 1


async def test_a_removed_container_never_comes_back(node: Node) -> None:
    container_id = await node.create("sleep", name="web")
    node.image_store.hold("release")
    await node.remove(container_id)
    await node.image_store.arrived("release")
    await node.die()
    node.image_store.let_go("release")
    await node.boot()
    assert node.spec(container_id) is None
    await node.gone(container_id)
