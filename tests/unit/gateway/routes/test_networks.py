from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from shared.contracts import executor, network
from shared.contracts.container import ContainerConfig
from tests.support.gateways import Host, World
from tests.support.http import Answer

Api = Callable[..., Awaitable[Answer]]
Create = Callable[..., Awaitable[str]]


async def test_list_inspect_create_remove(api: Api, world: World) -> None:
    assert [one["Name"] for one in (await api("GET", "/networks")).json()] == ["bridge", "host", "none"]
    assert len((await api("GET", "/networks/")).json()) == 3
    body = {"Name": "un", "Labels": {"a": "b"}, "CheckDuplicate": True, "IPAM": {"Config": [{"Subnet": "10.0.0.0/24"}]}}
    made = await api("POST", "/networks/create", body)
    assert (made.status, made.json()["Warning"]) == (201, "")
    shown = (await api("GET", f"/networks/{made.json()['Id'][:12]}")).json()
    assert (shown["Name"], shown["Labels"], shown["IPAM"]["Config"]) == ("un", {"a": "b"}, [{"Subnet": "10.0.0.0/24"}])
    assert (await api("POST", "/networks/create", body)).status == 409
    assert (await api("DELETE", "/networks/un")).status == 204
    assert (await api("DELETE", "/networks/un")).message == "network un not found"
    assert (await api("DELETE", "/networks/bridge")).status == 403


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/networks/create", {}),
        ("/networks/create", {"Name": ""}),
        ("/networks/create", {"Name": "x", "Driver": 5}),
        ("/networks/create", {"Name": "x", "IPAM": {"Config": {}}}),
        ("/networks/bridge/connect", {}),
        ("/networks/bridge/connect", {"Container": 5}),
        ("/networks/bridge/connect", {"Container": "c1", "EndpointConfig": []}),
        ("/networks/bridge/disconnect", None),
        ('/networks/prune?filters={"foo":["x"]}', None),
    ],
)
async def test_wrong_requests_are_refused(api: Api, create: Create, path: str, body: object) -> None:
    await create("sleep", "1")
    answer = await api("POST", path, body)
    assert answer.status == 400
    assert answer.message


async def test_a_verbose_inspect_shows_the_same(api: Api) -> None:
    plain, verbose = await api("GET", "/networks/bridge"), await api("GET", "/networks/bridge?verbose=true")
    assert plain.json() == verbose.json()
    wrong = await api("GET", "/networks/bridge?verbose=maybe")
    assert (wrong.status, wrong.message.partition(":")[0]) == (400, "invalid value for verbose")


async def test_connect_and_disconnect(api: Api, create: Create, world: World) -> None:
    id = await create("sleep", "1", start=True)
    body = {"Container": "c1", "EndpointConfig": {"Aliases": ["a"], "IPAMConfig": {"IPv4Address": "10.0.0.5"}}}
    assert (await api("POST", "/networks/bridge/connect", body)).status == 200
    asked = world.executor.last()
    assert isinstance(asked, executor.ConnectRequest)
    assert (asked.network, asked.id) == ("bridge", id)
    assert asked.settings.aliases == ("a",)
    assert asked.settings.ipam_config is not None
    assert (await api("POST", "/networks/bridge/disconnect", {"Container": id[:12], "Force": True})).status == 200
    assert world.executor.last() == executor.DisconnectRequest(network="bridge", id=id, force=True)
    missing = await api("POST", "/networks/bridge/connect", {"Container": "nope"})
    assert (missing.status, missing.message) == (404, "No such container: nope")


async def test_prune_spares_what_containers_name(api: Api, create: Create, world: World) -> None:
    await create("sleep", "1", HostConfig={"NetworkMode": "un"})
    assert (await api("POST", "/networks/prune")).json() == {"NetworksDeleted": None}
    asked = world.networks.last()
    assert isinstance(asked, network.PruneRequest)
    assert "un" in asked.in_use


async def test_local_networks_of_other_hosts(api: Api, world: World, two: Host) -> None:
    """Those that every host has are shown once."""
    for host, node, name in ((world, "node1", "both"), (two, "node2", "both"), (two, "node2", "far")):
        made = network.NetworkSpec(id=f"{node}{name}".ljust(64, "0"), name=name, created=1, node=node)
        host.networks.networks[name] = made
    everywhere = network.NetworkSpec(id="e" * 64, name="across", created=1, scope="global", vni=1)
    world.networks.networks["across"] = two.networks.networks["across"] = everywhere
    listed = [one["Name"] for one in (await api("GET", "/networks")).json()]
    assert listed == ["bridge", "host", "none", "both", "across", "two/both", "far"]
    for name, where in (("both", "one"), ("two/both", "two"), ("far", "two"), ("node2far", "two")):
        assert (await api("GET", f"/networks/{name}")).json()["Node"]["Name"] == where
    assert "Node" not in (await api("GET", "/networks/across")).json()
    for name in ("two/both", "far"):
        assert (await api("DELETE", f"/networks/{name}")).status == 204
    assert "both" in world.networks.networks
    assert {"both", "far"}.isdisjoint(two.networks.networks)
    assert (await api("DELETE", "/networks/far")).message == "network far not found"
    await api("POST", "/networks/prune")
    assert world.networks.last() == two.networks.last() == network.PruneRequest()


async def test_a_container_is_connected_to_a_network_of_its_host(api: Api, world: World, two: Host) -> None:
    """A list calls it `host/name` where this host has one of the name, too."""
    made = executor.CreateRequest(config=ContainerConfig(image="busybox", cmd=("sleep", "1")), name="far")
    id = (await two.executor.create(made)).id
    body = {"Container": "far"}
    for network_name, asked in (("two/back", "back"), ("one/back", "one/back"), ("back", "back")):
        assert (await api("POST", f"/networks/{network_name.replace('/', '%2F')}/connect", body)).status == 200
        found = two.executor.last()
        assert isinstance(found, executor.ConnectRequest)
        assert (found.network, found.id) == (asked, id)
    assert (await api("POST", "/networks/two%2Fback/disconnect", body)).status == 200
    assert two.executor.last() == executor.DisconnectRequest(network="back", id=id)
