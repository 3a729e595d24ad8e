from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.scheduler.domain.constraints import parse_all
from services.scheduler.domain.facts import Ask, Bond, Host, Load
from services.scheduler.domain.fleet import MOST_POOLS, Fleet
from shared.errors import FailedPrecondition

MIB = 1 << 20
NAMES = "abcdef"
SSD = parse_all("node.labels.disk==ssd")


def host(
    name: str, memory: int = 1000, cpus: int = 8, *, is_open: bool = True, disk: str = "", arch: str = "amd64"
) -> Host:
    attributes = {"node.labels.disk": disk} if disk else {}
    return Host(name, memory * MIB, cpus, architectures=frozenset((arch,)), is_open=is_open, attributes=attributes)


def fleet(*hosts: Host) -> Fleet:
    made = Fleet()
    for each in hosts:
        made.set_host(each)
    return made


def place(made: Fleet, container: str, ask: Ask) -> str:
    chosen = made.decide(ask)
    made.put(container, chosen, ask.load)
    return chosen


def refused(made: Fleet, ask: Ask) -> str:
    with pytest.raises(FailedPrecondition) as told:
        made.decide(ask)
    return told.value.message


def test_containers_are_spread() -> None:
    made = fleet(*map(host, NAMES))
    spread = Counter(place(made, str(number), Ask()) for number in range(60))
    assert spread == dict.fromkeys(NAMES, 10)


def test_of_equally_many_the_one_with_most_free_memory_is_taken_and_before_it_one_with_the_image() -> None:
    made = fleet(host("a", 100), host("b", 300), host("c", 200))
    assert made.decide(Ask()) == "b"
    assert made.decide(Ask(image=frozenset("ac"))) == "c"
    made.put("1", "a", Load())
    made.put("2", "c", Load())
    assert made.decide(Ask(image=frozenset("ac"))) == "b"  # spreading goes before images


def test_nothing_is_reserved_twice() -> None:
    made = fleet(host("a", 100), host("b", 50))
    ask = Ask(load=Load(memory=50 * MIB))
    assert sorted(place(made, str(number), ask) for number in range(3)) == ["a", "a", "b"]
    assert refused(made, ask) == "no suitable node (insufficient resources on 2 nodes)"
    assert made.decide(Ask()) == "b"  # who asks for nothing fits everywhere
    made.drop("1")
    assert made.decide(ask)


def test_what_hosts_bring_may_be_more_than_they_have() -> None:
    made = fleet(host("a", 100))
    made.put("1", "a", Load(memory=500 * MIB, cpus=99))
    assert made.decide(Ask()) == "a"
    assert "insufficient" in refused(made, Ask(load=Load(memory=1)))


def test_a_host_whose_ports_are_taken_is_the_last_resort() -> None:
    made = fleet(host("a", 900), host("b", 100))
    ask = Ask(load=Load(ports=("80/tcp",)))
    assert [place(made, str(number), ask) for number in range(3)] == ["a", "b", "a"]
    made.drop("0")
    made.drop("2")
    assert made.decide(ask) == "a"


def test_constraints_follow_the_hosts() -> None:
    made = fleet(host("a"), host("b", disk="ssd"))
    ask = Ask(constraints=SSD)
    assert made.decide(ask) == "b"
    made.set_host(host("c", disk="ssd"))
    made.put("1", "b", Load())
    assert made.decide(ask) == "c"
    made.set_host(host("c"))
    assert made.decide(ask) == "b"
    made.remove_host("b")
    assert refused(made, ask) == "no suitable node (scheduling constraints not satisfied on 2 nodes)"


def test_bonds_bind() -> None:
    made = fleet(*map(host, "abc"))
    near, other = Bond(frozenset("ab"), "no volume v"), Bond(frozenset("c"), "no container x")
    apart = Bond(frozenset("a"), "container y", apart=True)
    assert made.decide(Ask(bonds=(near, apart))) == "b"
    assert (
        refused(made, Ask(bonds=(near, other))) == "no suitable node (no volume v on 1 node; no container x on 2 nodes)"
    )
    made.put("1", "b", Load())
    made.put("2", "b", Load())
    assert made.decide(Ask(bonds=(near, apart))) == "b"


def test_a_refusal_counts_each_host_once_by_what_is_wrong_with_it_first() -> None:
    hosts = (
        host("a", is_open=False),
        host("b", is_open=False),
        host("c", arch="arm64"),
        host("d"),
        host("e", 1, disk="ssd"),
        host("f", 1, disk="ssd"),
    )
    ask = Ask(architecture="amd64", constraints=SSD, load=Load(memory=2 * MIB))
    assert refused(fleet(*hosts), ask) == (
        "no suitable node (2 nodes not available for new tasks; unsupported platform on 1 node; "
        "scheduling constraints not satisfied on 1 node; insufficient resources on 2 nodes)"
    )
    assert refused(Fleet(), Ask()) == "no suitable node (the cluster has no nodes)"


def test_many_kinds_of_containers_and_hosts_that_come_later() -> None:
    made = fleet(host("a"))
    for number in range(MOST_POOLS + 5):
        assert "not satisfied on 1" in refused(made, Ask(constraints=parse_all(f"node.id=={number}")))
    for number in range(40):
        made.set_host(host(f"later{number}"))
    assert len({place(made, str(number), Ask()) for number in range(41)}) == 41


def test_a_host_that_left_takes_its_containers_along() -> None:
    made = fleet(host("a"), host("b"))
    made.put("1", "b", Load())
    made.remove_host("b")
    made.remove_host("b")
    assert (made.host_of("1"), made.decide(Ask())) == ("", "a")
    made.put("2", "b", Load())  # of a host that is not known
    made.set_host(host("b"))
    assert (made.host_of("2"), made.containers("b")) == ("", 0)
    made.put("3", "a", Load())
    made.put("3", "b", Load())  # it moved
    assert (made.containers("a"), made.containers("b")) == (0, 1)


loads = st.builds(
    Load,
    memory=st.integers(0, 3).map(lambda n: n * MIB),
    cpus=st.integers(0, 3),
    ports=st.sampled_from([(), ("80/tcp",)]),
)
hosts = st.builds(
    host, st.sampled_from(NAMES), st.integers(0, 8), st.integers(0, 8), is_open=st.booleans(),
    disk=st.sampled_from(["", "ssd"]), arch=st.sampled_from(["amd64", "arm64"]),
)  # fmt: skip
sets = st.frozensets(st.sampled_from(NAMES))
asks = st.builds(
    Ask, load=loads, architecture=st.sampled_from(["", "amd64"]), constraints=st.sampled_from([(), SSD]),
    bonds=st.lists(st.builds(Bond, sets, st.sampled_from(["no x", "y"]), st.booleans()), max_size=2).map(tuple),
    image=sets,
)  # fmt: skip


class AgainstAScan(RuleBasedStateMachine):
    """The same decisions as a look at every host would make."""

    def __init__(self) -> None:
        super().__init__()
        self.fleet = Fleet()
        self.hosts: dict[str, Host] = {}
        self.containers: dict[str, tuple[str, Load]] = {}

    @rule(changed=hosts)
    def set_host(self, changed: Host) -> None:
        self.fleet.set_host(changed)
        self.hosts[changed.id] = changed

    @rule(name=st.sampled_from(NAMES))
    def remove_host(self, name: str) -> None:
        self.fleet.remove_host(name)
        self.hosts.pop(name, None)
        self.containers = {key: (of, load) for key, (of, load) in self.containers.items() if of != name}

    @rule(name=st.sampled_from(NAMES), container=st.integers(0, 9), load=loads)
    def put(self, name: str, container: int, load: Load) -> None:
        self.fleet.put(str(container), name, load)
        self.containers.pop(str(container), None)
        if name in self.hosts:
            self.containers[str(container)] = (name, load)

    @rule(container=st.integers(0, 9))
    def drop(self, container: int) -> None:
        self.fleet.drop(str(container))
        self.containers.pop(str(container), None)

    def on(self, name: str) -> list[Load]:
        return [load for of, load in self.containers.values() if of == name]

    def suits(self, one: Host, ask: Ask) -> bool:
        free = max(0, one.memory - sum(load.memory for load in self.on(one.id)))
        cpus = max(0, one.cpus - sum(load.cpus for load in self.on(one.id)))
        return (
            one.is_open
            and (not ask.architecture or ask.architecture in one.architectures)
            and all(each.holds(one.attributes) for each in ask.constraints)
            and all(bond.allows(one.id) for bond in ask.bonds)
            and ask.load.memory <= free
            and ask.load.cpus <= cpus
        )

    @rule(ask=asks)
    def decide(self, ask: Ask) -> None:
        suitable = [one for one in self.hosts.values() if self.suits(one, ask)]
        if not suitable:
            assert "no suitable node" in refused(self.fleet, ask)
            return
        calm = [one for one in suitable if not any(set(load.ports) & set(ask.load.ports) for load in self.on(one.id))]
        fewest = min(len(self.on(one.id)) for one in calm or suitable)
        best = {one.id for one in calm or suitable if len(self.on(one.id)) == fewest}
        chosen = self.fleet.decide(ask)
        assert chosen in best
        assert chosen in ask.image or not best & ask.image

    @invariant()
    def counts(self) -> None:
        for name in self.hosts:
            assert self.fleet.containers(name) == len(self.on(name))


TestAgainstAScan = AgainstAScan.TestCase
TestAgainstAScan.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(1, 60))
def test_no_host_has_two_more_than_another_that_could_take_one(memories: list[int], count: int) -> None:
    made = fleet(*(host(str(number), memory) for number, memory in enumerate(memories)))
    ask = Ask(load=Load(memory=10 * MIB))
    for number in range(count):
        try:
            place(made, str(number), ask)
        except FailedPrecondition:
            break
    able = [
        made.containers(str(n)) for n, memory in enumerate(memories) if memory >= 10 * (made.containers(str(n)) + 1)
    ]
    most = max(made.containers(str(number)) for number in range(len(memories)))
    assert not able or min(able) >= most - 1
