import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.domain.hubs import Step, chosen, names, number, outlive, step
from shared.cluster import Peer
from shared.contracts.scheduler import NodeRecord


def hosts(count: int) -> list[NodeRecord]:
    """Called by digits, in the order in which they joined."""
    return [NodeRecord(id=str(n), name=f"node{n}", role="leaf", address="a", joined=n) for n in range(count)]


def test_how_many():
    assert [number(hosts) for hosts in range(1, 8)] == [1, 1, 3, 3, 5, 5, 5]


@pytest.mark.parametrize(
    ("count", "present", "lost", "there", "ids"),
    [
        (2, "0", "", "01", "0"),
        (3, "0", "", "012", "012"),
        (3, "0", "", "01", "0"),  # two could lose none
        (4, "012", "", "0123", "012"),
        (5, "012", "", "01234", "01234"),
        (4, "012", "1", "023", "023"),
        (3, "012", "1", "02", "021"),  # nobody takes its place
        (4, "01", "", "0123", "012"),  # one was removed
        (2, "012", "", "01", "0"),
        (6, "012", "", "0123", "012"),
    ],
)
def test_who(count, present, lost, there, ids):
    assert chosen(hosts(count), set(present), set(lost), set(there)) == tuple(ids)


@given(st.integers(1, 8), *[st.sets(st.sampled_from("0123456789"))] * 3)
def test_hubs_are_hosts_and_choosing_again_changes_nothing(count, present, lost, there):
    known = {one.id for one in hosts(count)}
    ids = set(chosen(hosts(count), present, lost, there))
    assert ids <= known
    assert len(ids) <= number(count)
    assert set(chosen(hosts(count), ids, lost, there)) == ids


A, B, C, OLD = (Peer(id, f"hub-{id}") for id in ("a", "b", "c", "old"))
UNKNOWN = Peer("x", "")
THREE = frozenset({"hub-a", "hub-b", "hub-c"})


@pytest.mark.parametrize(
    ("peers", "replicas", "current", "behind", "next_step"),
    [
        ([A], 1, {"hub-a"}, set(), Step()),
        ([A, B], 1, {"hub-a"}, set(), Step()),  # with two of two neither may be lost
        ([A, B, C], 1, {"hub-a"}, set(), Step(replicas=3)),
        ([A, B, C], 2, {"hub-a", "hub-b"}, set(), Step(replicas=3)),
        ([A, B, C], 3, {"hub-a", "hub-b"}, {"hub-c"}, Step()),
        ([A, B, C], 3, {"hub-a"}, set(), Step()),  # decided, and nobody has begun to catch up
        ([A, B, C], 3, THREE, set(), Step(settled=True)),
        ([A, B, OLD], 3, {"hub-old", "hub-a"}, {"hub-b"}, Step(remove=OLD)),
        ([A, OLD], 1, {"hub-old"}, set(), Step(replicas=2)),  # who alone has it is not removed
        ([OLD], 1, {"hub-old"}, set(), Step()),
        ([A, B, UNKNOWN], 3, {"hub-a", "hub-b"}, set(), Step()),  # it may be the one that is waited for
        ([A, B, C, UNKNOWN], 3, THREE, set(), Step(remove=UNKNOWN)),
    ],
)
def test_the_next_step(peers, replicas, current, behind, next_step):
    assert step(THREE, peers, replicas, current, behind) == next_step


def test_the_last_of_three_keeps_what_is_agreed_on():
    assert step(frozenset({"hub-a"}), [A, B], 3, {"hub-a", "hub-b"}, set()) == Step(remove=B)
    assert step(frozenset({"hub-a"}), [A], 3, {"hub-a"}, set()) == Step(replicas=1)


def test_a_hub_of_a_host_that_is_gone_is_none():
    assert names({"0": hosts(1)[0]}, {"0": "hub-a", "1": "hub-b"}) == {"hub-a"}


def test_the_others_may_go_where_a_majority_stays():
    assert outlive({"b", "c"}, {"a", "b", "c"})
    assert not outlive({"b"}, {"a", "b"})
    assert outlive({"b"}, {"b"})
    assert not outlive({"b"}, {"a"})


def test_who_is_leaving_is_no_hub():
    first, second = hosts(2)
    leaving = msgspec.structs.replace(first, leaving=True)
    assert chosen([leaving, second], {"0"}, set(), {"0", "1"}) == ("1",)
