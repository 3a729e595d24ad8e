from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.contracts import executor as contract
from shared.contracts import platform
from shared.contracts.common import Ref
from shared.contracts.container import Healthcheck
from shared.contracts.executor import CheckpointListRequest, CheckpointRef, CheckpointRequest, StartRequest
from shared.errors import AlreadyExists, Conflict, Internal, InvalidArgument, NotFound
from tests.support.executor_node import Node


async def taken(node: Node, container_id: str, name: str = "one", **more: Any) -> None:
    request = CheckpointRequest(id=container_id, checkpoint=name, reference="web", **more)
    done = await node.call(contract.CHECKPOINT_CREATE, request)
    await node.view.reached(done.revision)


async def names(node: Node, container_id: str, directory: str = "") -> tuple[str, ...]:
    reply = await node.call(contract.CHECKPOINT_LIST, CheckpointListRequest(id=container_id, directory=directory))
    found: tuple[str, ...] = reply.names
    return found


async def test_taken_with_the_end_and_started_from(node: Node) -> None:
    container_id = await node.run("sleep")
    await taken(node, container_id, exit=True)
    assert (node.status(container_id).state, node.status(container_id).exit_code) == ("exited", 137)
    assert await names(node, container_id) == ("one",)
    revision = await node.call(contract.START, StartRequest(id=container_id, checkpoint="one"))
    await node.view.reached(revision.revision)
    assert node.status(container_id).state == "running"
    asked = node.platform.requests("create")[-1]
    assert isinstance(asked, platform.CreateRequest)
    assert asked.restore is not None
    assert asked.restore.image_path.endswith(f"/executor/checkpoints/{container_id}/one")
    told = [action for action in node.actions(container_id) if action in ("checkpoint", "die", "start")]
    assert told[0] == "start"
    assert set(told[1:3]) == {"checkpoint", "die"}


async def test_left_running_while_it_is_checked(node: Node) -> None:
    check = Healthcheck(test=("CMD", "probe"), interval=1_000_000)
    container_id = await node.run("sleep", config={"healthcheck": check})
    await node.until(lambda: node.platform.count("exec") == 1)
    await taken(node, container_id)
    assert node.status(container_id).state == "running"
    await node.until(lambda: node.platform.count("exec") > 1)


async def test_removed_by_name_and_with_the_container(node: Node) -> None:
    container_id = await node.run("sleep")
    await taken(node, container_id)
    await taken(node, container_id, "two")
    await node.call(contract.CHECKPOINT_DELETE, CheckpointRef(id=container_id, checkpoint="one"))
    assert await names(node, container_id) == ("two",)
    folder = Path(node.executor._engine.checkpoints) / container_id
    assert folder.exists()
    await node.remove(container_id, force=True)
    await node.gone(container_id)
    assert not folder.exists()


async def test_in_another_folder(node: Node) -> None:
    container_id, folder = await node.run("sleep"), str(node.directory / "elsewhere")
    await taken(node, container_id, directory=folder)
    assert await names(node, container_id) == ()
    assert await names(node, container_id, folder) == ("one",)
    with pytest.raises(NotFound, match='checkpoint directory "/nope" does not exist for container'):
        await names(node, container_id, "/nope")


async def test_refused(node: Node) -> None:
    container_id = await node.run("sleep")
    with pytest.raises(InvalidArgument, match="invalid checkpoint ID"):
        await taken(node, container_id, "../x")
    await taken(node, container_id)
    with pytest.raises(AlreadyExists, match="cannot checkpoint container web: checkpoint with name one already exists"):
        await taken(node, container_id)
    node.platform.fail["checkpoint"].append(Internal("criu failed: no"))
    with pytest.raises(Internal, match="Cannot checkpoint container web: criu failed: no"):
        await taken(node, container_id, "two")
    with pytest.raises(NotFound, match="checkpoint three does not exist for container"):
        await node.call(contract.CHECKPOINT_DELETE, CheckpointRef(id=container_id, checkpoint="three"))
    await node.call(contract.PAUSE, Ref(id=container_id))
    with pytest.raises(Conflict, match="is paused, unpause the container before checkpoint"):
        await taken(node, container_id, "two")
    await node.stop(container_id)
    with pytest.raises(Conflict, match="is not running"):
        await taken(node, container_id, "two")
    with pytest.raises(NotFound, match="checkpoint two does not exist for container /"):
        await node.call(contract.START, StartRequest(id=container_id, checkpoint="two"))
