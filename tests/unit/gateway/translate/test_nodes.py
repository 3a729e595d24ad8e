from gateway.translate.nodes import of_host, show
from shared.contracts.scheduler import NodeRecord


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
