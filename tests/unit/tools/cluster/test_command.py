from shared.contracts.scheduler import Node, NodeRecord
from tools.cluster.command import table


def node(name: str, ready: bool) -> Node:
    return Node(
        record=NodeRecord(id=name[0] * 25, name=name, role="leaf", address="198.18.0.2:7377", joined=1), ready=ready
    )


def test_the_hosts_for_people():
    lines = table((node("alpha", True), node("b", False))).splitlines()
    assert [line.split()[1:] for line in lines] == [
        ["NAME", "STATUS", "ROLE", "ADDRESS"],
        ["alpha", "Ready", "leaf", "198.18.0.2:7377"],
        ["b", "Down", "leaf", "198.18.0.2:7377"],
    ]
    assert len({line.index("198") for line in lines[1:]}) == 1
