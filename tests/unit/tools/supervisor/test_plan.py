import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgument
from tools.supervisor.plan import (
    BROKER,
    FENCE,
    GATEWAY,
    HUB,
    LONGEST_DELAY,
    LOOPING,
    SCHEDULER,
    SERVICES,
    STEADY,
    Member,
    begun,
    delay,
    due,
    ended,
    members,
    rested,
    stop_order,
    wait,
    wanted,
)


def test_the_broker_starts_first_and_the_gateway_last():
    names = [member.name for member in members(embedded_broker=True)]
    assert names == [BROKER, *SERVICES, GATEWAY]
    assert BROKER not in [member.name for member in members(embedded_broker=False)]


def test_a_hub_starts_before_the_broker_that_is_linked_to_it():
    assert [member.name for member in members(embedded_broker=True, role="hub")][:2] == [HUB, BROKER]
    assert {FENCE, SCHEDULER} <= {member.name for member in members(embedded_broker=True, role="leaf")}
    assert not {HUB, FENCE, SCHEDULER} & {member.name for member in members(embedded_broker=True)}


def test_what_somebody_else_runs_is_not_started():
    names = [member.name for member in members(embedded_broker=True, replaced=("image_store", GATEWAY))]
    assert names == [BROKER, *(name for name in SERVICES if name != "image_store")]
    with pytest.raises(InvalidArgument, match="no engine service is called imagestore"):
        members(embedded_broker=True, replaced=("imagestore",))


def test_stopping_begins_at_the_gateway_and_ends_at_the_broker():
    order = stop_order(members(embedded_broker=True))
    assert order[0] == [GATEWAY]
    assert order[-1] == [BROKER]
    assert stop_order(members(embedded_broker=True, role="hub"))[-1] == [BROKER, HUB]
    assert set(order[1]) == set(SERVICES)
    assert not any(FENCE in names for names in stop_order(members(embedded_broker=True, role="leaf")))
    assert stop_order(members(embedded_broker=False))[-1] == []


@given(st.integers(0, 10_000))
def test_the_delay_grows_and_stays_bounded(short_lives):
    assert 0 <= delay(short_lives) <= delay(short_lives + 1) <= LONGEST_DELAY


@given(st.floats(STEADY, 1e6), st.integers(0, 20))
def test_who_lived_long_comes_back_at_once(lived, short_lives):
    member = ended(begun(Member("x", short_lives=short_lives), 100.0), 100.0 + lived)
    assert member.due <= 100.0 + lived
    assert not member.looping


@given(st.lists(st.floats(0, STEADY * 0.9), min_size=LOOPING, max_size=12))
def test_short_lives_in_a_row_are_a_loop(lives):
    now, member = 0.0, Member("x")
    for lived in lives:
        member = ended(begun(member, now), now + lived)
        now = member.due
    assert member.looping


@pytest.mark.parametrize(("now", "names", "seconds"), [(1.0, [], 1.0), (2.0, ["b"], 0.0), (5.0, ["b", "c"], 0.0)])
def test_who_is_due_and_how_long_to_wait(now, names, seconds):
    all_members = (Member("a", started=0.0), Member("b", due=2.0), Member("c", due=4.0))
    assert [member.name for member in due(all_members, now)] == names
    assert wait(all_members, now) == seconds


def test_with_all_running_there_is_nothing_to_wait_for():
    assert wait((Member("a", started=0.0),), 1.0) is None


def test_who_rests_is_not_due_before_it_is_wanted():
    resting = rested(begun(Member("a", short_lives=2), 1.0))
    assert due((resting,), 1e9) == []
    assert wait((resting,), 1.0) is None
    assert wait((resting, Member("b", due=3.0)), 1.0) == 2.0
    assert due((wanted(resting, 5.0),), 5.0) == [wanted(resting, 5.0)]
    running = begun(Member("a"), 1.0)
    assert wanted(running, 5.0) == running
