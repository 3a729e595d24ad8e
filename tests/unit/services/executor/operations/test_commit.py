from __future__ import annotations

import asyncio

import pytest

from shared.contracts import executor as contract
from shared.contracts import image_store
from shared.contracts.common import Ref
from shared.contracts.container import ContainerConfig
from shared.errors import Conflict, Internal, NotFound
from tests.support.executor_node import Node


async def test_what_the_image_store_is_asked(node: Node) -> None:
    container_id = await node.create("true", name="web")
    request = contract.CommitRequest(
        id=container_id, changes=("USER u",), author="me", comment="why", repository="r", tag="t"
    )
    done = await node.call(contract.COMMIT, request)
    spec = node.spec(container_id)
    assert spec is not None
    (asked,) = node.image_store.requests("commit")
    assert asked == image_store.CommitRequest(
        key=container_id, config=spec.config, changes=("USER u",), defaults=spec.config, container=container_id,
        container_config=spec.config, author="me", comment="why", repository="r", tag="t",
    )  # fmt: skip
    await node.until(lambda: node.actions(container_id) == ["create", "commit"])
    told = node.events[-1].attributes
    assert (told["comment"], told["imageID"], told["imageRef"]) == ("why", done.image_id, "r:t")
    await node.call(contract.COMMIT, contract.CommitRequest(id=container_id, config=ContainerConfig(user="x")))
    (_, asked) = node.image_store.requests("commit")
    assert isinstance(asked, image_store.CommitRequest)
    assert asked.config == ContainerConfig(user="x")


async def test_it_stands_still_meanwhile(node: Node) -> None:
    container_id = await node.run("sleep")
    for pause, state in ((True, "paused"), (False, "running")):
        node.image_store.hold("commit")
        committing = asyncio.ensure_future(
            node.call(contract.COMMIT, contract.CommitRequest(id=container_id, pause=pause))
        )
        await node.image_store.arrived("commit")
        assert (node.platform.machines[container_id].state, node.status(container_id).held) == (state, pause)
        node.image_store.let_go("commit")
        await committing
    assert node.status(container_id).state == "running"
    assert not node.status(container_id).held
    wanted = ["create", "start", "pause", "commit", "unpause", "commit"]
    await node.until(lambda: node.actions(container_id) == wanted)


async def test_it_goes_on_whatever_happens(node: Node) -> None:
    container_id = await node.run("sleep")
    node.image_store.fail["commit"].append(Internal("broken"))
    with pytest.raises(Internal):
        await node.call(contract.COMMIT, contract.CommitRequest(id=container_id))
    assert node.platform.machines[container_id].state == "running"
    node.platform.fail["pause"].append(Internal("no freezer"))
    await node.call(contract.COMMIT, contract.CommitRequest(id=container_id))
    assert node.status(container_id).state == "running"


async def test_who_paused_it_unpauses_it(node: Node) -> None:
    container_id = await node.run("sleep")
    await node.call(contract.PAUSE, Ref(id=container_id))
    await node.call(contract.COMMIT, contract.CommitRequest(id=container_id))
    assert node.status(container_id).state == "paused"


async def test_what_is_not_there_or_going(node: Node) -> None:
    with pytest.raises(NotFound):
        await node.call(contract.COMMIT, contract.CommitRequest(id="nope"))
    container_id = await node.create("true")
    node.executor._engine.registry.get(container_id).removing = True
    with pytest.raises(Conflict, match=f"You cannot commit container {container_id} which is being removed"):
        await node.call(contract.COMMIT, contract.CommitRequest(id=container_id))


async def test_two_at_once_stand_still_until_both_are_done(node: Node) -> None:
    container_id = await node.run("sleep")
    node.image_store.hold("commit")
    works = [
        asyncio.ensure_future(node.call(contract.COMMIT, contract.CommitRequest(id=container_id))) for _ in range(2)
    ]
    await node.until(lambda: node.image_store.count("commit") == 2)
    node.image_store.let_go("commit")
    await asyncio.gather(*works)
    await node.until(lambda: node.actions(container_id).count("commit") == 2)
    assert [node.actions(container_id).count(action) for action in ("pause", "unpause")] == [1, 1]
