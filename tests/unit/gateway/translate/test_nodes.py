from gateway.translate.nodes import of_container
from shared.contracts.scheduler import NodeRecord


def test_inspect_tells_the_host_in_a_cluster_only() -> None:
    assert of_container(None) == {}
    record = NodeRecord(id="abc", name="far", role="leaf", address="192.0.2.7:7377", joined=1)
    told = {"ID": "abc", "IP": "192.0.2.7", "Addr": "192.0.2.7:7377", "Name": "far"}
    assert of_container(record) == {"Node": told}
