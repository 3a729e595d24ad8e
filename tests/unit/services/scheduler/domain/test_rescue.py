from services.scheduler.domain.facts import Bond
from services.scheduler.domain.rescue import ask, homeless
from shared.contracts.container import ContainerConfig, ContainerSpec, HostConfig
from shared.contracts.movable import MovableRecord
from tests.unit.services.scheduler.domain.test_asking import Known


def spec(**labels: str) -> ContainerSpec:
    return ContainerSpec(
        id="c", name="n", created=1, config=ContainerConfig(labels=labels), host_config=HostConfig(memory=10)
    )


def test_whose_host_is_lost_or_who_has_none_is_started_elsewhere() -> None:
    records = {
        "lost": MovableRecord(node="dead", spec=spec(), wanted=True),
        "nobody": MovableRecord(node="", spec=spec(), wanted=True),
        "stopped": MovableRecord(node="dead", spec=spec()),
        "removed": MovableRecord(node="", spec=spec(), wanted=True, removed=True),
        "moving": MovableRecord(node="dead", spec=spec(), wanted=True),
        "well": MovableRecord(node="alive", spec=spec(), wanted=True),
    }
    assert list(homeless(records, {"dead"}, {"moving"})) == ["lost", "nobody"]


def test_it_asks_as_its_creator_did_and_avoids_lost_hosts() -> None:
    asked = ask(spec(**{"shoal.constraint": "node.role==hub"}), frozenset(("dead",)), Known())
    assert (asked.load.memory, len(asked.constraints), asked.architecture) == (10, 1, "amd64")
    assert asked.bonds == (Bond(frozenset(("dead",)), "not available", apart=True),)
