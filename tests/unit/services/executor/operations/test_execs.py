from __future__ import annotations

from typing import Any

import pytest

from shared.contracts import executor as contract
from shared.contracts import platform
from shared.contracts.common import Ref
from shared.contracts.execs import ExecCreateRequest, ExecRef, ExecStartReply, ExecStartRequest, ExecState
from shared.contracts.executor import ResizeRequest
from shared.errors import Conflict, Internal, InvalidArgument, NotFound
from tests.support.executor_node import Node


async def made(node: Node, container_id: str, *cmd: str, **more: Any) -> str:
    reply = await node.call(contract.EXEC_CREATE, ExecCreateRequest(id=container_id, cmd=cmd, **more))
    return str(reply.exec_id)


async def begun(node: Node, exec_id: str, **more: Any) -> ExecStartReply:
    reply = await node.call(contract.EXEC_START, ExecStartRequest(exec_id=exec_id, **more))
    assert isinstance(reply, ExecStartReply)
    return reply


async def state(node: Node, exec_id: str) -> ExecState:
    found = await node.call(contract.EXEC_INSPECT, ExecRef(exec_id=exec_id))
    assert isinstance(found, ExecState)
    return found


async def test_an_exec_from_start_to_end(node: Node) -> None:
    container_id = await node.run("sleep", config={"working_dir": "/w"})
    exec_id = await made(node, container_id, "ls", "-l", attach_stdout=True, tty=True)
    assert (await state(node, exec_id)).exit_code is None
    reply = await begun(node, exec_id, console_size=(24, 80))
    assert reply.offer is not None
    assert reply.tty
    asked = node.platform.requests("exec")[0]
    assert isinstance(asked, platform.ExecRequest)
    assert (asked.process.args, asked.process.cwd, asked.process.console_size) == (("ls", "-l"), "/w", (24, 80))
    await node.until(lambda: node.status(container_id).exec_ids == (exec_id,))
    running = await state(node, exec_id)
    assert running.running
    assert running.pid > 0
    await node.call(contract.RESIZE, ResizeRequest(id=container_id, height=1, width=2, exec_id=exec_id))
    node.platform.end_exec(exec_id, container_id, 3)
    await node.until(lambda: node.platform.count("exec_forget") == 1)
    await node.until(lambda: node.status(container_id).exec_ids == ())
    ended = await state(node, exec_id)
    assert (ended.running, ended.exit_code) == (False, 3)
    await node.until(lambda: node.actions(container_id)[2:] == ["exec_create: ls -l", "exec_start: ls -l", "exec_die"])
    assert node.events[-1].attributes["exitCode"] == "3"
    assert node.events[-1].attributes["execID"] == exec_id


async def test_who_asks_may_choose_the_id(node: Node) -> None:
    container_id = await node.run("sleep")
    for _ in range(2):  # asked again
        assert await made(node, container_id, "ls", "-l", exec_id="ab" * 32) == "ab" * 32
    assert node.actions(container_id).count("exec_create: ls -l") == 1
    with pytest.raises(InvalidArgument, match=r"invalid exec id: '\.\./x'"):
        await made(node, container_id, "ls", exec_id="../x")


async def test_detached(node: Node) -> None:
    container_id = await node.run("sleep")
    assert (await begun(node, await made(node, container_id, "ls"), detach=True)).offer is None


async def test_an_exec_runs_once(node: Node) -> None:
    container_id = await node.run("sleep")
    exec_id = await made(node, container_id, "ls")
    await begun(node, exec_id)
    with pytest.raises(Conflict, match=f"exec command {exec_id} is already running"):
        await begun(node, exec_id)
    node.platform.end_exec(exec_id, container_id, 0)
    await node.until(lambda: node.platform.count("exec_forget") == 1)
    with pytest.raises(Conflict, match=f"exec command {exec_id} has already run"):
        await begun(node, exec_id)


@pytest.mark.parametrize(
    ("text", "code", "kind"),
    [("executable file not found in $PATH", 127, InvalidArgument), ("boom", 126, Internal)],
)
async def test_a_command_that_cannot_be_run(node: Node, text: str, code: int, kind: type[Exception]) -> None:
    container_id = await node.run("sleep")
    exec_id = await made(node, container_id, "nope")
    node.platform.fail["exec"].append(Internal(text))
    with pytest.raises(kind, match=text.replace("$", r"\$")):
        await begun(node, exec_id)
    assert ((await state(node, exec_id)).exit_code, (await state(node, exec_id)).running) == (code, False)


async def test_where_there_is_nothing_to_exec_in(node: Node) -> None:
    container_id = await node.create("sleep")
    with pytest.raises(Conflict, match=f"container {container_id} is not running"):
        await made(node, container_id, "ls")
    with pytest.raises(NotFound, match="No such container: fish"):
        await made(node, "fish", "ls")
    with pytest.raises(NotFound, match="No such exec instance: fish"):
        await begun(node, "fish")
    await node.begin(container_id)
    with pytest.raises(InvalidArgument, match="No exec command specified"):
        await made(node, container_id)
    with pytest.raises(InvalidArgument, match="invalid environment variable"):
        await made(node, container_id, "ls", env=("=x",))
    exec_id = await made(node, container_id, "ls")
    with pytest.raises(InvalidArgument, match="exec process is not started"):
        await node.call(contract.RESIZE, ResizeRequest(id=container_id, height=1, width=1, exec_id=exec_id))
    await node.call(contract.PAUSE, Ref(id=container_id))
    with pytest.raises(Conflict, match="is paused, unpause the container before exec"):
        await begun(node, exec_id)


async def test_a_stopped_container_takes_its_execs_along(node: Node) -> None:
    container_id = await node.run("sleep")
    waiting, live = await made(node, container_id, "ls"), await made(node, container_id, "ls")
    await begun(node, live)
    await node.stop(container_id)
    with pytest.raises(NotFound, match=f"No such exec instance: {waiting}"):
        await state(node, waiting)
    assert (await state(node, live)).exit_code == 137


async def test_how_an_exec_ended_while_the_executor_was_away(node: Node) -> None:
    container_id = await node.run("sleep")
    exec_id = await made(node, container_id, "ls")
    other = await made(node, container_id, "sleep")
    await begun(node, exec_id)
    await begun(node, other)
    await node.until(lambda: len(node.status(container_id).exec_ids) == 2)
    await node.die()
    node.platform.end_exec(exec_id, container_id, 9)
    await node.boot()
    found = await state(node, exec_id)
    assert (found.exit_code, found.container_id) == (9, container_id)
    assert (await state(node, other)).running
    node.platform.end_exec(other, container_id, 4)
    await node.until(lambda: node.status(container_id).exec_ids == ())
    assert (await state(node, other)).exit_code == 4
    with pytest.raises(NotFound, match="no such exec"):
        await node.call(contract.RESIZE, ResizeRequest(id=container_id, height=1, width=1, exec_id=other))


async def test_the_terminal_of_the_container(node: Node) -> None:
    container_id = await node.run("sleep")
    await node.call(contract.RESIZE, ResizeRequest(id=container_id, height=24, width=80))
    await node.until(lambda: node.actions(container_id)[-1] == "resize")
    assert node.events[-1].attributes["height"] == "24"
    await node.stop(container_id)
    with pytest.raises(Conflict, match="is not running"):
        await node.call(contract.RESIZE, ResizeRequest(id=container_id, height=24, width=80))
