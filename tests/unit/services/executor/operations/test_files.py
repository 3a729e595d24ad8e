from __future__ import annotations

import pytest

from shared.contracts import executor as contract
from shared.contracts import platform
from shared.contracts.common import Ref
from shared.contracts.execs import PathRequest, WriteRequest
from shared.errors import Conflict, NotFound
from tests.support.executor_node import Node


def asked(node: Node, operation: str) -> platform.FilesRequest:
    request = node.platform.requests(operation)[-1]
    assert isinstance(request, platform.FilesRequest)
    return request


async def test_what_the_platform_is_told_of_one_that_does_not_run(node: Node) -> None:
    container_id = await node.create("true", image="redis", binds=("/tmp:/t:ro",), readonly_rootfs=True)
    found = await node.call(contract.STAT_PATH, PathRequest(id=container_id, path="/x"))
    assert found.name == "x"
    request = asked(node, "stat_path")
    assert (request.path, request.readonly_rootfs, request.files) == ("/x", True, {})
    assert request.rootfs == node.image_store.snapshots[container_id].mounts
    assert {(point.destination, point.rw) for point in request.mounts} == {("/data", True), ("/t", False)}
    volume = next(point for point in request.mounts if point.type == "volume")
    assert volume.source == f"/volumes/{volume.name}/_data"
    assert node.volume.mounts == set()


async def test_of_one_that_runs_volumes_stay_mounted(node: Node) -> None:
    container_id = await node.run("sleep", image="redis", config={"entrypoint": ("sleep",)})
    reply = await node.call(contract.READ_ARCHIVE, PathRequest(id=container_id, path="/etc"))
    assert reply.stat.name == "etc"
    assert set(asked(node, "read_archive").files) == {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    assert {user for user, _ in node.volume.mounts} == {container_id}
    await node.until(lambda: node.actions(container_id)[-1] == "archive-path")


async def test_writing(node: Node) -> None:
    container_id = await node.create("true", config={"user": "alice"})
    request = WriteRequest(id=container_id, path="/d", no_overwrite_dir_non_dir=True, copy_uid_gid=True)
    await node.call(contract.WRITE_ARCHIVE, request)
    sent = asked(node, "write_archive")
    assert isinstance(sent, platform.WriteRequest)
    assert (sent.path, sent.owner, sent.no_overwrite_dir_non_dir) == ("/d", "alice", True)
    await node.call(contract.WRITE_ARCHIVE, WriteRequest(id=container_id, path="/d"))
    sent = asked(node, "write_archive")
    assert isinstance(sent, platform.WriteRequest)
    assert sent.owner == ""


async def test_what_is_done_is_told(node: Node) -> None:
    container_id = await node.create("true")
    await node.call(contract.EXPORT, Ref(id=container_id))
    for action in ("export", "extract-to-dir"):
        await node.platform.tell_transferred(container_id, action)
    await node.platform.tell_transferred("unknown", "export")
    await node.until(lambda: len(node.actions(container_id)) == 3)
    assert node.actions(container_id) == ["create", "export", "extract-to-dir"]


async def test_refusals(node: Node) -> None:
    container_id = await node.create("true", name="web")
    node.platform.fail["stat_path"].append(NotFound("Could not find the file /x"))
    with pytest.raises(NotFound, match="Could not find the file /x in container called"):
        await node.call(contract.STAT_PATH, PathRequest(id=container_id, path="/x", reference="called"))
    with pytest.raises(NotFound, match="No such container: nope"):
        await node.call(contract.EXPORT, Ref(id="nope"))
    node.executor._engine.registry.get(container_id).removing = True
    with pytest.raises(Conflict, match=f"You cannot export container {container_id} which is being removed"):
        await node.call(contract.EXPORT, Ref(id=container_id))
    with pytest.raises(Conflict, match="marked for removal"):
        await node.call(contract.STAT_PATH, PathRequest(id=container_id, path="/x"))
