"""What every executor does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.bus import Bus
from shared.contracts import executor
from shared.contracts.base import Empty
from shared.contracts.common import DockerEvent, Ref
from shared.contracts.container import ContainerConfig, RestartPolicy
from shared.contracts.execs import ExecCreateRequest, ExecRef, ExecStartRequest
from shared.contracts.executor import (
    NAMES,
    PLACEMENTS,
    AttachRequest,
    CreateRequest,
    KillRequest,
    LogsRequest,
    PruneRequest,
    RemoveRequest,
    RenameRequest,
    StartRequest,
    StopRequest,
    TopRequest,
)
from shared.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, NotModified
from shared.ids import new_token
from shared.state import State

from .client import Client


@pytest.fixture
async def client(bus: Bus, state: State) -> AsyncIterator[Client]:
    made = await Client.open(bus, state)
    yield made
    await made.close()


async def test_a_container_from_first_to_last(client: Client, bus: Bus, state: State) -> None:
    name = f"t{new_token()[:16]}.dotted"
    container_id = await client.create("sleep", name=name)
    spec = client.spec(container_id)
    assert spec is not None
    assert (len(container_id), spec.name, spec.path, spec.config.image) == (64, name, "sleep", "busybox")
    assert client.status(container_id).state == "created"
    holder, placement = await state.get(NAMES, name), await state.get(PLACEMENTS, container_id)
    assert holder is not None
    assert placement is not None
    assert (holder.value.id, placement.value.node) == (container_id, bus.node)
    await client.start(container_id)
    running = client.status(container_id)
    assert (running.state, running.runs) == ("running", 1)
    assert running.pid > 0
    assert running.started_at > 0
    await bus.call(executor.STOP, StopRequest(id=container_id))
    exited = await client.in_state(container_id, "exited")
    assert (exited.pid, exited.runs) == (0, 1)
    assert exited.finished_at > 0
    await bus.call(executor.REMOVE, RemoveRequest(id=container_id))
    await client.until(lambda: client.spec(container_id) is None)
    await client.until(lambda: client.actions(container_id)[-1:] == ["destroy"])
    assert [action for action in client.actions(container_id) if action not in ("kill", "stop")] == [
        "create", "start", "die", "destroy",
    ]  # fmt: skip


async def test_how_it_ended_is_recorded(client: Client) -> None:
    container_id = await client.run("exit", "7")
    assert (await client.in_state(container_id, "exited")).exit_code == 7
    await client.until(lambda: "die" in client.actions(container_id))
    die = next(event for event in client.events if event.actor == container_id and event.action == "die")
    assert die.attributes["exitCode"] == "7"
    assert die.attributes["image"] == "busybox"


async def test_auto_remove_tells_the_code_before_it_goes(client: Client) -> None:
    container_id = await client.run("exit", "7", auto_remove=True)
    await client.until(lambda: client.spec(container_id) is None)
    assert client.statuses[container_id][-1].exit_code == 7


async def test_each_start_counts(client: Client) -> None:
    container_id = await client.run("exit", "0")
    await client.in_state(container_id, "exited")
    await client.start(container_id)
    await client.until(lambda: client.status(container_id).runs == 2)
    assert (await client.in_state(container_id, "exited")).runs == 2


async def test_a_name_is_its_holders(client: Client) -> None:
    name = f"t{new_token()[:16]}"
    container_id = await client.create("sleep", name=name)
    with pytest.raises(AlreadyExists, match=f'Conflict. The container name "/{name}" is already in use'):
        await client.create("sleep", name=name)
    await client.bus.call(executor.REMOVE, RemoveRequest(id=container_id))
    assert await client.create("sleep", name=name) != container_id


async def test_what_does_not_exist(client: Client) -> None:
    with pytest.raises(NotFound, match="No such image: nothing"):
        await client.bus.call(executor.CREATE, CreateRequest(config=ContainerConfig(image="nothing", cmd=("x",))))
    with pytest.raises(NotFound, match="No such container: nobody"):
        await client.bus.call(executor.START, StartRequest(id="nobody"))
    with pytest.raises(NotFound, match="No such exec instance: nothing"):
        await client.bus.call(executor.EXEC_INSPECT, ExecRef(exec_id="nothing"))


async def test_what_its_state_does_not_allow(client: Client) -> None:
    container_id = await client.create("sleep")
    with pytest.raises(NotModified):
        await client.bus.call(executor.STOP, StopRequest(id=container_id))
    with pytest.raises(Conflict, match=f"cannot kill container: me: container {container_id} is not running"):
        await client.bus.call(executor.KILL, KillRequest(id=container_id, reference="me"))
    with pytest.raises(Conflict, match="is not running"):
        await client.bus.call(executor.EXEC_CREATE, ExecCreateRequest(id=container_id, cmd=("ls",)))
    await client.start(container_id)
    with pytest.raises(NotModified):
        await client.start(container_id)
    with pytest.raises(Conflict):
        await client.bus.call(executor.REMOVE, RemoveRequest(id=container_id, reference="me"))
    await client.bus.call(executor.REMOVE, RemoveRequest(id=container_id, force=True))
    await client.until(lambda: client.spec(container_id) is None)


async def test_kill_and_restart(client: Client) -> None:
    container_id = await client.run("sleep")
    await client.bus.call(executor.RESTART, StopRequest(id=container_id))
    await client.until(lambda: client.status(container_id).runs == 2)
    await client.bus.call(executor.KILL, KillRequest(id=container_id))
    assert (await client.in_state(container_id, "exited")).exit_code == 137


async def test_pause(client: Client) -> None:
    container_id = await client.run("sleep")
    await client.bus.call(executor.PAUSE, Ref(id=container_id))
    await client.in_state(container_id, "paused")
    await client.bus.call(executor.UNPAUSE, Ref(id=container_id))
    assert (await client.in_state(container_id, "running")).runs == 1


async def test_rename(client: Client, state: State) -> None:
    old, new = f"t{new_token()[:16]}", f"t{new_token()[:16]}"
    container_id = await client.create("sleep", name=old)
    await client.bus.call(executor.RENAME, RenameRequest(id=container_id, name=new))
    await client.until(lambda: (spec := client.spec(container_id)) is not None and spec.name == new)
    entry = await state.get(NAMES, new)
    assert entry is not None
    assert entry.value.id == container_id
    assert await state.get(NAMES, old) is None


async def test_streams_are_offered(client: Client) -> None:
    container_id = await client.create("sleep")
    attach = await client.bus.call(executor.ATTACH, AttachRequest(id=container_id, stream=True, stdout=True))
    assert attach.ticket
    assert attach.framed
    await client.start(container_id)
    assert (await client.bus.call(executor.LOGS, LogsRequest(id=container_id))).ticket
    terminal = await client.create("sleep", config={"tty": True})
    assert not (await client.bus.call(executor.ATTACH, AttachRequest(id=terminal, stream=True))).framed


async def test_exec(client: Client) -> None:
    container_id = await client.run("sleep")
    made = await client.bus.call(executor.EXEC_CREATE, ExecCreateRequest(id=container_id, cmd=("echo", "hi")))
    before = await client.bus.call(executor.EXEC_INSPECT, ExecRef(exec_id=made.exec_id))
    assert (before.container_id, before.exit_code, before.request.cmd) == (container_id, None, ("echo", "hi"))
    begun = await client.bus.call(executor.EXEC_START, ExecStartRequest(exec_id=made.exec_id))
    assert begun.offer is not None


async def test_the_event_of_an_exec_tells_the_time_that_its_caller_gave(client: Client) -> None:
    heard: asyncio.Queue[DockerEvent] = asyncio.Queue()
    await client.bus.hear(executor.CONTAINER_EVENT, heard.put_nowait)
    await client.bus.transport.flush()
    container_id = await client.run("sleep")
    asked = ExecCreateRequest(id=container_id, cmd=("true",), exec_id="ab" * 32, at=12)
    await client.bus.call(executor.EXEC_CREATE, asked)
    async with asyncio.timeout(20):
        while not (event := await heard.get()).action.startswith("exec_create"):
            pass
    assert (event.actor, event.time_ns, event.attributes["execID"]) == (container_id, 12, asked.exec_id)


async def test_top_usage_and_prune(client: Client) -> None:
    running, stopped = await client.run("sleep"), await client.create("sleep")
    assert (await client.bus.call(executor.TOP, TopRequest(id=running))).processes
    usage = await client.bus.call(executor.USAGE, Empty())
    assert {running, stopped} <= {entry.id for entry in usage.entries}
    report = await client.bus.call(executor.PRUNE, PruneRequest(ids=(stopped,)))
    assert report.removed == (stopped,)
    await client.until(lambda: client.spec(stopped) is None)
    assert client.spec(running) is not None


@pytest.mark.parties("real")
async def test_a_restart_policy(client: Client) -> None:
    policy = RestartPolicy(name="on-failure", maximum_retry_count=1)
    container_id = await client.run("exit", "3", restart_policy=policy)
    await client.until(lambda: client.status(container_id).runs == 2)
    assert (await client.in_state(container_id, "exited")).restart_count == 1


@pytest.mark.parties("real")
@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"memory": 1}, "Minimum memory limit allowed is 6MB"),
        ({"binds": ("a:b:c:d",)}, "invalid volume specification: 'a:b:c:d'"),
        ({"security_opt": ("fish",)}, 'invalid --security-opt 1: "fish"'),
        ({"auto_remove": True, "restart_policy": RestartPolicy(name="always")}, "can't create 'AutoRemove' container"),
        ({"name": "a b"}, r"Invalid container name \(a b\), only"),
    ],
)
async def test_wrong_requests_are_refused_in_dockers_words(client: Client, asked: dict[str, object], text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        await client.create("sleep", **asked)  # type: ignore[arg-type]
