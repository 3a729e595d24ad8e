from __future__ import annotations

import asyncio

import msgspec

from shared.contracts import platform
from shared.contracts.container import RestartPolicy
from shared.errors import Conflict, InvalidArgument, Unavailable
from tests.support.executor_node import Node


async def test_an_exit_is_recorded_and_everything_given_back(node: Node) -> None:
    container_id = await node.run("sleep", binds=("v:/v",))
    node.platform.end(container_id, 3)
    await node.in_state(container_id, "exited")
    await node.until(lambda: not node.platform.machines)
    assert (node.status(container_id).exit_code, node.status(container_id).pid) == (3, 0)
    await node.until(lambda: not node.network.stacks and not node.volume.mounts)
    assert container_id in node.image_store.snapshots
    assert container_id in node.network.files
    die = next(event for event in node.events if event.action == "die")
    assert die.attributes["exitCode"] == "3"


async def test_the_code_is_durable_before_the_platform_forgets_it(node: Node) -> None:
    container_id = await node.run("sleep")
    seen = []
    node.view.on_change(lambda *_: seen.append(node.platform.count("delete")))
    node.platform.end(container_id, 3)
    await node.in_state(container_id, "exited")
    assert seen == [0]
    await node.until(lambda: node.platform.count("delete") == 1)


async def test_out_of_memory(node: Node) -> None:
    container_id = await node.run("sleep")
    node.platform.end(container_id, 137, oom=True)
    await node.in_state(container_id, "exited")
    assert node.status(container_id).oom_killed
    await node.until(lambda: node.actions(container_id)[-2:] == ["oom", "die"])


async def test_a_report_that_comes_twice_or_for_nobody(node: Node) -> None:
    container_id = await node.run("sleep")
    node.platform.report = "late"
    node.platform.end(container_id, 1)
    node.platform.untold *= 2
    stranger = platform.Exited(id="x", exit_code=0, exited_at=1)
    elsewhere = platform.Exited(id=container_id, exit_code=9, exited_at=1, node="node2")
    node.platform.untold[:0] = [stranger, elsewhere]
    node.platform.tell_exits()
    await node.in_state(container_id, "exited")
    await node.until(lambda: not node.platform.machines)
    assert node.status(container_id).exit_code == 1
    assert node.actions(container_id).count("die") == 1


async def test_a_report_of_an_older_run(node: Node) -> None:
    container_id = await node.run("sleep")
    node.platform.end(container_id, 1)
    await node.in_state(container_id, "exited")
    old = node.status(container_id).finished_at
    await node.begin(container_id)
    node.platform.untold = [platform.Exited(id=container_id, exit_code=7, exited_at=at) for at in (old, old - 5)]
    node.platform.tell_exits()
    await node.until(lambda: node.platform.count("list") == 2)
    await asyncio.sleep(0.01)
    assert node.status(container_id).state == "running"


async def test_a_clock_that_was_set_back(node: Node) -> None:
    container_id = await node.run("sleep")
    machine = node.platform.machines[container_id]
    machine.state, machine.exit_code = "stopped", 5
    node.platform.untold = [platform.Exited(id=container_id, exit_code=5, exited_at=1)]
    node.platform.tell_exits()
    await node.in_state(container_id, "exited")
    assert node.status(container_id).exit_code == 5


async def test_neighbours_that_fail_are_asked_again(node: Node) -> None:
    container_id = await node.run("sleep", binds=("v:/v",))
    node.network.fail["release"].append(Unavailable("away"))
    node.volume.fail["unmount"].append(Unavailable("away"))
    node.platform.fail["delete"].append(Conflict("busy"))
    node.platform.end(container_id, 0)
    await node.in_state(container_id, "exited")
    await node.until(lambda: not node.network.stacks and not node.volume.mounts and not node.platform.machines)
    assert node.status(container_id).state == "exited"


async def test_auto_remove_takes_anonymous_volumes_along(node: Node) -> None:
    container_id = await node.run(
        "sleep", image="redis", auto_remove=True, binds=("kept:/k",), config={"entrypoint": ("sleep",)}
    )
    assert len(node.volume.volumes) == 2
    node.platform.end(container_id, 0)
    await node.gone(container_id)
    assert set(node.volume.volumes) == {"kept"}


async def test_who_waits_sees_the_code_before_the_removal(node: Node) -> None:
    container_id = await node.run("sleep", auto_remove=True)
    codes: list[int] = []
    node.view.on_change(lambda *_: codes.append(node.status(container_id).exit_code))
    node.platform.end(container_id, 7)
    await node.gone(container_id)
    assert codes[0] == 7


async def test_a_policy_restarts_until_a_client_stops(node: Node) -> None:
    container_id = await node.run("sleep", restart_policy=RestartPolicy(name="unless-stopped"))
    node.platform.end(container_id, 0)
    await node.until(lambda: node.status(container_id).runs == 2)
    await node.stop(container_id)
    assert node.status(container_id).state == "exited"
    assert node.status(container_id).stopped_by_user


async def test_a_policy_holds_as_it_is_at_the_exit(node: Node) -> None:
    container_id = await node.run("sleep", restart_policy=RestartPolicy(name="always"))
    container = node.executor._engine.registry.get(container_id)
    never = msgspec.structs.replace(container.spec.host_config, restart_policy=RestartPolicy())
    container.spec = msgspec.structs.replace(container.spec, host_config=never)
    node.platform.end(container_id, 1)
    await node.in_state(container_id, "exited")
    assert node.status(container_id).restart_count == 0


async def test_a_policy_gives_up_what_it_cannot_start(node: Node) -> None:
    container_id = await node.run("sleep", restart_policy=RestartPolicy(name="always"))
    node.platform.fail["create"].append(InvalidArgument("no such device"))
    node.platform.end(container_id, 7)
    await node.in_state(container_id, "exited")
    last = node.status(container_id)
    assert (last.exit_code, last.error, last.runs) == (7, "no such device", 1)
