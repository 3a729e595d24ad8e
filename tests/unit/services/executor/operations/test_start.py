from __future__ import annotations

import asyncio
import re

import pytest

from shared.contracts import executor as contract
from shared.contracts.common import Ref
from shared.contracts.container import MountRequest, PortBinding, RestartPolicy
from shared.contracts.executor import StartRequest
from shared.contracts.platform import CreateRequest
from shared.errors import Conflict, DeadlineExceeded, Internal, InvalidArgument, NotFound, NotModified, Unavailable
from tests.support.executor_node import Node


async def test_what_runs_is_recorded(node: Node) -> None:
    container_id = await node.run("sleep", port_bindings={"80/tcp": (PortBinding(host_port="8080"),)})
    status = node.status(container_id)
    assert (status.state, status.runs) == ("running", 1)
    assert status.pid == node.platform.machines[container_id].pid
    assert status.started_at == node.platform.machines[container_id].started_at
    assert status.networks["bridge"].ip_address.startswith("172.17.0.")
    assert status.ports == {"80/tcp": (PortBinding(host_ip="0.0.0.0", host_port="8080"),)}
    assert status.sandbox_key == f"/run/netns/{container_id[:12]}"
    assert status.hosts_path == f"/files/{container_id}/hosts"
    assert status.log_path == f"/logs/{container_id}"


async def test_what_runs_already(node: Node) -> None:
    container_id = await node.run("sleep")
    with pytest.raises(NotModified):
        await node.begin(container_id)
    await node.call(contract.PAUSE, Ref(id=container_id))
    with pytest.raises(Conflict, match="cannot start a paused container, try unpause instead"):
        await node.begin(container_id)


async def test_what_does_not_exist(node: Node) -> None:
    with pytest.raises(NotFound, match="No such container: fish"):
        await node.call(contract.START, StartRequest(id="fish"))
    with pytest.raises(InvalidArgument, match="invalid checkpoint ID"):
        await node.call(contract.START, StartRequest(id="x", checkpoint="c/d"))


@pytest.mark.parametrize(
    ("text", "code", "kind"),
    [
        ('exec: "nope": executable file not found in $PATH', 127, InvalidArgument),
        ('exec: "/etc": permission denied', 126, InvalidArgument),
        ("boom", 128, Internal),
    ],
)
async def test_a_command_that_cannot_be_run(node: Node, text: str, code: int, kind: type[Exception]) -> None:
    container_id = await node.create("nope", binds=("v:/v",))
    node.platform.fail["create"].append(Internal(text))
    with pytest.raises(kind, match=re.escape(text)):
        await node.begin(container_id)
    await node.until(lambda: node.status(container_id).exit_code == code)
    status = node.status(container_id)
    assert (status.state, status.error, status.runs) == ("created", text, 0)
    assert node.network.stacks == {}
    assert node.volume.mounts == set()
    await node.begin(container_id)
    assert node.status(container_id).error == ""


@pytest.mark.parametrize(("service", "operation"), [("network", "sandbox"), ("volume", "mount")])
async def test_surroundings_that_cannot_be_made(node: Node, service: str, operation: str) -> None:
    container_id = await node.create("sleep", binds=("v:/v",))
    getattr(node, service).fail[operation].append(Conflict("port is already allocated"))
    with pytest.raises(Conflict, match="port is already allocated"):
        await node.begin(container_id)
    assert node.network.stacks == {}
    assert node.volume.mounts == set()
    assert node.platform.machines == {}
    await node.until(lambda: node.status(container_id).exit_code == 128)


async def test_auto_remove_of_what_cannot_start(node: Node) -> None:
    container_id = await node.create("nope", auto_remove=True)
    node.platform.fail["create"].append(Internal("executable file not found in $PATH"))
    with pytest.raises(InvalidArgument):
        await node.begin(container_id)
    await node.gone(container_id)


async def test_an_answer_that_got_lost(node: Node) -> None:
    container_id = await node.create("sleep")
    node.platform.fail_after["create"].append(Unavailable("restarted during the call"))
    await node.begin(container_id)
    assert node.status(container_id).state == "running"


async def test_a_platform_that_went_away_before_it_did_anything(node: Node) -> None:
    container_id = await node.create("sleep")
    node.platform.fail["create"].append(DeadlineExceeded("no answer in time"))
    with pytest.raises(DeadlineExceeded):
        await node.begin(container_id)
    await node.begin(container_id)
    assert node.status(container_id).state == "running"


async def test_bind_sources_are_made(node: Node) -> None:
    source = node.directory / "deep" / "data"
    await node.run("sleep", binds=(f"{source}:/data",))
    assert source.is_dir()
    file = node.directory / "file"
    file.write_text("")
    container_id = await node.create("sleep", binds=(f"{file}/x:/data",))
    with pytest.raises(InvalidArgument, match="error while creating mount source path"):
        await node.begin(container_id)


async def test_the_source_of_a_mount_has_to_be_there_still(node: Node) -> None:
    source = node.directory / "data"
    source.mkdir()
    mount = MountRequest(type="bind", source=str(source), target="/data")
    container_id = await node.create("sleep", mounts=(mount,))
    source.rmdir()
    with pytest.raises(InvalidArgument, match=f'for type "bind": bind source path does not exist: {source}'):
        await node.begin(container_id)
    assert not source.exists()


async def test_joining_a_containers_namespaces(node: Node) -> None:
    donor = await node.run("sleep", name="db", ipc_mode="shareable")
    mode = "container:db"
    joiner = await node.run("sleep", network_mode=mode, pid_mode=mode, ipc_mode=mode)
    request = node.platform.machines[joiner].request
    pid = node.platform.machines[donor].pid
    assert request.isolation.network == node.status(donor).sandbox_key
    assert (request.isolation.pid, request.isolation.ipc) == (f"/proc/{pid}/ns/pid", f"/proc/{pid}/ns/ipc")
    assert request.files["/etc/hosts"] == node.status(donor).hosts_path
    assert set(node.network.stacks) == {donor}
    await node.stop(donor)
    late = await node.create("sleep", network_mode=mode)
    with pytest.raises(Conflict, match="cannot join network namespace of a non running container"):
        await node.begin(late)


async def test_joining_nobody(node: Node) -> None:
    container_id = await node.create("sleep", network_mode="container:fish")
    with pytest.raises(Conflict, match="joining network namespace of container: No such container: fish"):
        await node.begin(container_id)


async def test_a_port_that_is_just_given_back(node: Node) -> None:
    ports = {"80/tcp": (PortBinding(host_port="8080"),)}
    first = await node.run("sleep", port_bindings=ports, auto_remove=True)
    second = await node.create("sleep", port_bindings=ports)
    node.network.hold("release")
    node.platform.end(first, 0)
    await node.network.arrived("release")
    starting = asyncio.get_running_loop().create_task(node.begin(second))
    await asyncio.sleep(0.01)
    assert not starting.done()
    node.network.let_go("release")
    await starting
    assert node.status(second).state == "running"


async def test_fifty_at_once(node: Node) -> None:
    ids = await asyncio.gather(*(node.create("sleep") for _ in range(50)))
    await asyncio.gather(*(node.begin(each) for each in ids))
    assert {node.status(each).state for each in ids} == {"running"}
    assert len(node.platform.machines) == 50


async def test_calls_at_the_same_time_start_it_once(node: Node) -> None:
    container_id = await node.create("sleep")
    results = await asyncio.gather(*(node.begin(container_id) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, NotModified) for result in results) == 4
    assert node.platform.count("create") == 1


async def test_a_start_goes_on_when_its_caller_gives_up(node: Node) -> None:
    container_id = await node.create("sleep")
    node.platform.hold("create")
    with pytest.raises(DeadlineExceeded):
        await node.call(contract.START, StartRequest(id=container_id), timeout=0.05)
    node.platform.let_go("create")
    await node.in_state(container_id, "running")
    assert node.status(container_id).runs == 1


async def test_restart_policy_with_back_off(node: Node) -> None:
    policy = RestartPolicy(name="on-failure", maximum_retry_count=2)
    container_id = await node.run("exit", "3", restart_policy=policy)
    await node.until(lambda: node.status(container_id).runs == 3 and node.status(container_id).state == "exited")
    status = node.status(container_id)
    assert (status.exit_code, status.restart_count) == (3, 2)
    await node.until(lambda: node.actions(container_id) == ["create", *["start", "die"] * 3])


async def test_a_restart_that_fails_is_given_up(node: Node) -> None:
    container_id = await node.run("sleep", restart_policy=RestartPolicy(name="always"))
    node.platform.fail["create"].append(Internal("boom"))
    node.platform.end(container_id, 1)
    await node.until(lambda: node.status(container_id).error == "boom")
    assert node.status(container_id).state == "exited"


async def test_what_the_platform_is_asked_for(node: Node) -> None:
    container_id = await node.run("sleep", "9", config={"user": "u"}, privileged=True)
    request = node.platform.requests("create")[0]
    assert isinstance(request, CreateRequest)
    assert request.rootfs == node.image_store.snapshots[container_id].mounts
    assert request.process.args == ("sleep", "9")
    assert request.process.privileged
    assert request.start
