from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.contracts import executor as contract
from shared.contracts.executor import RenameRequest
from shared.errors import AlreadyExists, InvalidArgument, Unavailable
from tests.support.executor_node import Node


async def rename(node: Node, container_id: str, name: str) -> None:
    revision = await node.call(contract.RENAME, RenameRequest(id=container_id, name=name))
    await node.view.reached(revision.revision)


async def test_the_name_changes_everywhere(node: Node) -> None:
    container_id = await node.run("sleep", name="old")
    await rename(node, container_id, "new.name")
    spec = node.spec(container_id)
    assert spec is not None
    assert spec.name == "new.name"
    assert node.network.names == {container_id: "new.name"}
    await node.until(lambda: node.view.get(contract.NAMES, "old") is None)
    assert node.view.get(contract.NAMES, "new.name").value.id == container_id  # type: ignore[union-attr]
    await node.until(lambda: "rename" in node.actions(container_id))
    event = node.events[-1]
    assert (event.attributes["oldName"], event.attributes["name"]) == ("/old", "new.name")
    other = await node.create("sleep", name="old")
    await node.stop("new.name")
    await node.remove(other)


async def test_the_network_is_not_told_of_what_does_not_run(node: Node) -> None:
    await rename(node, await node.create("sleep"), "new")
    assert node.network.names == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "Neither old nor new names may be empty"),
        ("/", "Neither old nor new names may be empty"),
        ("a b", r"Error when allocating new name: Invalid container name \(/a b\), only"),
        ("old", "Renaming a container with the same name as its current name"),
    ],
)
async def test_names_that_cannot_be(node: Node, name: str, text: str) -> None:
    container_id = await node.create("sleep", name="old")
    with pytest.raises(InvalidArgument, match=text):
        await rename(node, container_id, name)


async def test_a_taken_name(node: Node) -> None:
    holder = await node.create("sleep", name="web")
    container_id = await node.create("sleep", name="old")
    with pytest.raises(AlreadyExists, match=f'Error when allocating new name: Conflict. .* by container "{holder}"'):
        await rename(node, container_id, "web")


async def test_a_failure_gives_the_new_name_back(node: Node) -> None:
    container_id = await node.run("sleep", name="old")
    node.network.fail["renamed"].append(Unavailable("away"))
    with pytest.raises(Unavailable):
        await rename(node, container_id, "new")
    await node.until(lambda: node.view.get(contract.NAMES, "new") is None)
    spec = node.spec(container_id)
    assert spec is not None
    assert spec.name == "old"


async def test_it_does_not_wait_for_the_old_name_to_be_given_up(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for the old name after that gets it all the same."""
    container_id = await node.create("sleep", name="old")
    given_up = asyncio.Event()
    delete = node.state.delete

    async def held(*arguments: Any, **named: Any) -> int:
        await given_up.wait()
        return await delete(*arguments, **named)

    monkeypatch.setattr(node.state, "delete", held)
    await rename(node, container_id, "new")
    assert node.view.get(contract.NAMES, "old") is not None
    given_up.set()
    await node.until(lambda: node.view.get(contract.NAMES, "old") is None)
