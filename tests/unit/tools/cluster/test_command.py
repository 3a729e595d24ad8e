from shared.contracts.scheduler import Node, NodeRecord
from tools.cluster.command import remaining, table


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


def test_what_stays_on_a_drained_host_is_told() -> None:
    assert remaining("n", []) == "n gets no new containers, and has none"
    mounts = [{"Type": "volume", "Name": "data"}, {"Type": "bind"}]
    told = remaining("n", [{"Id": "a" * 64, "Names": ["/web"], "State": "running", "Mounts": mounts}])
    assert told.splitlines()[1] == f"  {'a' * 12}  web  running  volumes: data"
