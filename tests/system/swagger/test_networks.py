"""Tag Network."""

import pytest

from tests.support.engine import IMAGE, Engine, unique
from tests.support.swagger_walk import Caller

ABSENT = "no-such-network"


@pytest.mark.provokes("NetworkList", 200)
@pytest.mark.provokes("NetworkInspect", 200, 404)
def test_list_and_inspect(caller: Caller, engine: Engine) -> None:
    engine.ok("network", "create", "own", "--label", "a=b", "--subnet", "10.97.0.0/24", "--gateway", "10.97.0.1")
    engine.start("--network", "own", IMAGE, "sleep", "1000")
    names = {each["Name"] for each in caller.expect(200, "NetworkList").json}
    assert names == {"bridge", "host", "none", "own"}
    for name in names:
        caller.expect(200, "NetworkInspect", id=name, query={"verbose": True, "scope": "local"})
    caller.expect(404, "NetworkInspect", id=ABSENT)
    caller.expect(404, "NetworkInspect", id="own", query={"scope": "swarm"})
    assert caller.call("NetworkInspect", id="own", query={"verbose": "perhaps"}).status == 400


@pytest.mark.provokes("NetworkCreate", 201, 400, 403, 404)
@pytest.mark.provokes("NetworkDelete", 204, 403, 404)
def test_create_and_remove(caller: Caller) -> None:
    wanted = {
        "Name": unique("net"),
        "Driver": "bridge",
        "Internal": True,
        "Attachable": True,
        "IPAM": {"Config": [{"Subnet": "10.98.0.0/24", "IPRange": "10.98.0.128/25", "Gateway": "10.98.0.1"}]},
        "Options": {"com.docker.network.bridge.enable_icc": "true"},
        "Labels": {"a": "b"},
    }
    made = caller.expect(201, "NetworkCreate", body=wanted).json
    caller.expect(204, "NetworkDelete", id=made["Id"])
    bad = {**wanted, "IPAM": {"Config": [{"Subnet": "10.98.0.1/24"}]}}
    caller.expect(400, "NetworkCreate", body=bad)
    caller.expect(403, "NetworkCreate", body={"Name": "host"})
    caller.expect(404, "NetworkCreate", body={"Name": unique("net"), "Driver": "no-such-driver"})
    caller.expect(403, "NetworkDelete", id="bridge")
    caller.expect(404, "NetworkDelete", id=ABSENT)


@pytest.mark.provokes("NetworkConnect", 200, 400, 403, 404)
@pytest.mark.provokes("NetworkDisconnect", 200, 404)
def test_connect_and_disconnect(caller: Caller, engine: Engine) -> None:
    engine.ok("network", "create", "own", "--subnet", "10.97.0.0/24")
    engine.start("--name", "one", IMAGE, "sleep", "1000")
    engine.start("--name", "hosted", "--network", "host", IMAGE, "sleep", "1000")
    settings = {"IPAMConfig": {"IPv4Address": "10.97.0.9"}, "Aliases": ["other"]}
    caller.expect(200, "NetworkConnect", id="own", body={"Container": "one", "EndpointConfig": settings})
    caller.expect(403, "NetworkConnect", id="own", body={"Container": "one"})
    caller.expect(200, "NetworkInspect", id="own")
    caller.expect(200, "NetworkDisconnect", id="own", body={"Container": "one", "Force": True})
    bad = {"IPAMConfig": {"IPv4Address": "nowhere"}}
    caller.expect(400, "NetworkConnect", id="own", body={"Container": "one", "EndpointConfig": bad})
    caller.expect(400, "NetworkConnect", id="own", body={"Container": "hosted"})
    for operation in ("NetworkConnect", "NetworkDisconnect"):
        caller.expect(404, operation, id=ABSENT, body={"Container": "one"})
        caller.expect(404, operation, id="own", body={"Container": "no-such-container"})


@pytest.mark.provokes("NetworkPrune", 200)
def test_prune(caller: Caller, engine: Engine) -> None:
    engine.ok("network", "create", "own", "--label", "a=b")
    query = {"filters": {"label!": ["a=b"]}}
    assert caller.expect(200, "NetworkPrune", query=query).json["NetworksDeleted"] is None
    assert caller.expect(200, "NetworkPrune").json["NetworksDeleted"] == ["own"]
