from __future__ import annotations

import pytest

from services.migrator.adapters import facts
from services.migrator.adapters.facts import Inquiry
from shared.contracts import network
from shared.contracts.network import NetworkSpec
from shared.contracts.scheduler import NODES, NodeRecord
from shared.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable
from tests.support.moving import Hosts


async def inquiry(pair: Hosts) -> Inquiry:
    nodes = await pair.hubs.view(NODES)
    return Inquiry(pair.one.client.bus, pair.one.state, "node1", nodes)


async def test_hosts_by_name_and_id(pair: Hosts) -> None:
    twin = NodeRecord(id="node3", name="node2", role="leaf", address="a:1", joined=1)
    await pair.hubs.create(NODES, "node3", value=twin)
    asked = await inquiry(pair)
    assert asked.host("node1").id == "node1"
    assert asked.host("node2").id == "node2"  # an id goes before a name
    third = NodeRecord(id="node4", name="twin", role="leaf", address="a:1", joined=1)
    for each in ("node4", "node5"):
        await pair.hubs.create(NODES, each, value=third)
    with pytest.raises(InvalidArgument, match="several nodes are called twin"):
        (await inquiry(pair)).host("twin")
    with pytest.raises(NotFound, match="node nope not found"):
        asked.host("nope")


async def test_what_a_plan_needs(pair: Hosts) -> None:
    id = await pair.with_volume("sleep", name="web")
    other = await pair.one.create("sleep", name="side", binds=("data:/x",), pid_mode=f"container:{id}")
    await pair.record_volumes()
    await pair.one.state.create(network.SPECS, "n1", value=NetworkSpec(id="n1", name="net", created=1))
    across = NetworkSpec(id="n2", name="net", created=1, scope="swarm", vni=4097)
    await pair.hubs.create(network.CLUSTER_SPECS, "4097", value=across)
    found = await (await inquiry(pair)).facts(id, (await inquiry(pair)).host("node2"))
    assert (found.spec.name, found.status.state, found.source.id, found.target.id) == (
        "web",
        "running",
        "node1",
        "node2",
    )
    assert set(found.volumes) == {"data"}
    assert found.shared == {"data": "side"}
    assert found.joined_by == "side"
    assert found.files == 20
    assert found.networks["net"].scope == "local"  # as the host itself takes the name
    assert found.ready
    with pytest.raises(NotFound):
        await (await inquiry(pair)).facts("x" * 64, found.target)
    await pair.one.remove(other, force=True)


async def test_reasons_refuse_and_so_does_being_cut_off(pair: Hosts) -> None:
    facts.check(())
    with pytest.raises(FailedPrecondition, match="one; two"):
        facts.check(("one", "two"))
    view = await pair.hubs.view(NODES)
    facts.reachable(view)
    view.become_live(False)
    with pytest.raises(Unavailable, match="cut off"):
        facts.reachable(view)
