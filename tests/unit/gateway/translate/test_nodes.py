import pytest

from gateway.translate.nodes import of_host, show, update_request
from shared.contracts.scheduler import NodeRecord, UpdateRequest
from shared.errors import InvalidArgument


def test_inspect_tells_the_host_in_a_cluster_only() -> None:
    assert of_host(None) == {}
    record = NodeRecord(id="abc", name="far", role="leaf", address="192.0.2.7:7377", joined=1)
    told = {"ID": "abc", "IP": "192.0.2.7", "Addr": "192.0.2.7:7377", "Name": "far"}
    assert of_host(record) == {"Node": told}


def test_hosts_are_shown_as_swarm_modes_nodes() -> None:
    record = NodeRecord(
        id="abc", name="far", role="hub", address="192.0.2.7:7377", joined=1, labels={"a": "b"}, memory=5, cpus=7
    )
    told = show(record, ready=True, hubs=1)
    assert told["Spec"] == {"Labels": {"a": "b"}, "Role": "manager", "Availability": "active"}
    assert told["Description"]["Platform"] == {"Architecture": "x86_64", "OS": "linux"}
    assert told["Description"]["Resources"] == {"NanoCPUs": 7, "MemoryBytes": 5}
    assert told["Status"] == {"State": "ready", "Addr": "192.0.2.7"}
    assert told["ManagerStatus"] == {"Leader": True, "Reachability": "reachable", "Addr": "192.0.2.7:7377"}
    leaf = show(NodeRecord(id="x", name="y", role="leaf", address="192.0.2.8:1", joined=1), ready=False, hubs=1)
    assert (leaf["Status"]["State"], leaf["Spec"]["Role"], "ManagerStatus" in leaf) == ("down", "worker", False)


def test_labels_that_a_client_leaves_out_go() -> None:
    record = NodeRecord(id="abc", name="far", role="leaf", address="a:1", joined=1, labels={"a": "1", "b": "2"})
    wanted = {"Labels": {"b": "3"}, "Role": "Worker", "Availability": "Pause"}
    asked = UpdateRequest(node="abc", labels={"b": "3"}, without=("a",), availability="pause")
    assert update_request(record, wanted) == asked
    assert update_request(record, None) == UpdateRequest(node="abc", without=("a", "b"))
    for wrong, text in (
        ({"Availability": "never"}, 'invalid Availability: "never"'),
        ({"Role": "manager"}, "node far stays a worker"),
        ({"Labels": {"a": 5}}, "NodeSpec.Labels"),
    ):
        with pytest.raises(InvalidArgument, match=text):
            update_request(record, wrong)
