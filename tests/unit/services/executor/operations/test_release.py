from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.executor.operations import release
from shared.contracts import executor as contract
from shared.contracts.container import PortBinding
from shared.contracts.executor import KillRequest
from shared.contracts.network import ReleaseRequest
from tests.support.executor_node import Node


async def test_files_are_kept_until_the_container_goes(node: Node) -> None:
    container_id = await node.run("sleep")
    await node.stop(container_id)
    assert container_id in node.network.files
    await node.remove(container_id)
    await node.gone(container_id)
    kept = [request.keep_files for _, request in node.network.calls if isinstance(request, ReleaseRequest)]
    assert kept == [True, False]


async def test_a_joined_network_is_not_released(node: Node) -> None:
    donor = await node.run("sleep")
    joiner = await node.run("sleep", network_mode=f"container:{donor}")
    await node.stop(joiner)
    assert node.network.count("release") == 0
    assert donor in node.network.stacks


async def test_waiting_for_ports_has_an_end(node: Node) -> None:
    engine = node.executor._engine
    node.network.hold("release")
    releasing = asyncio.get_running_loop().create_task(release.network_stack(engine, "c" * 64, keep_files=True))
    await node.network.arrived("release")
    release.PORT_PATIENCE, patience = 0.01, release.PORT_PATIENCE
    await release.ports_free(engine)
    release.PORT_PATIENCE = patience
    assert engine.releasing
    node.network.let_go("release")
    await releasing
    await release.ports_free(engine)
    assert not engine.releasing


@pytest.mark.parametrize("auto_remove", [False, True])
@pytest.mark.parametrize(
    "held", [{"network_mode": "web"}, {"publish_all_ports": True}, {"port_bindings": {"80/tcp": (PortBinding(),)}}]
)
async def test_an_exit_is_told_when_networks_and_ports_are_given_back(
    node: Node, auto_remove: bool, held: dict[str, Any]
) -> None:
    """Who has seen the end of a container removes its network or takes its port, and must not find them in use."""
    container_id = await node.run("sleep", auto_remove=auto_remove, **held)
    node.network.hold("release")
    stopping = asyncio.get_running_loop().create_task(node.call(contract.KILL, KillRequest(id=container_id)))
    await node.network.arrived("release")
    assert node.status(container_id).state == "running"
    node.network.let_go("release")
    await stopping
    await (node.gone(container_id) if auto_remove else node.in_state(container_id, "exited"))


async def test_waiting_for_a_network_has_an_end(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "NETWORK_PATIENCE", 0.01)
    container_id = await node.run("sleep", network_mode="web")
    node.network.hold("release")
    await node.call(contract.KILL, KillRequest(id=container_id))
    assert node.network.count("release") == 1
    node.network.let_go("release")
    await node.in_state(container_id, "exited")
