"""The plan machine: every step fails, loses its answer, or is the last that its coordinator lives to see."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.migrator.domain import machine
from services.migrator.domain.machine import Cancel, Do, Done, Failed
from tests.support.simulators.migration import (
    Fault,
    Hosts,
    Killed,
    arrive,
    coordinate,
    settle_source,
    settle_target,
)

STRATEGIES = sorted(machine.STEPS)
FAULTS: tuple[Fault, ...] = get_args(Fault)


def nothing(steps: int) -> list[Fault]:
    """So many steps without a fault."""
    return [""] * steps


def run(hosts: Hosts, faults: list[Fault], meanwhile: list[bool] | None = None) -> None:
    """A migration with these faults, one for each step; who is killed is followed by another.

    `meanwhile`: before which steps a late write arrives and the target's migrator looks at the record.
    """
    left, looks = iter(faults), iter(meanwhile or ())
    begun: tuple[machine.State, Do | None] | None = machine.begin(hosts.strategy)
    while begun is not None:
        try:
            coordinate(hosts, begun, left, looks)
            begun = None
        except Killed:
            if next(looks, False):
                arrive(hosts)
                settle_target(hosts)
            begun = settle_source(hosts)
    arrive(hosts)
    for _ in range(2):  # the target sees the record as it ended; a source that starts anew finds nothing to do but that
        settle_target(hosts)
        again = settle_source(hosts)
        if again is not None:
            coordinate(hosts, again)
    settle_target(hosts)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_without_faults_it_ends_at_the_target(strategy: str) -> None:
    hosts = Hosts(strategy)
    run(hosts, [])
    hosts.check_end()
    assert not hosts.source.there


@pytest.mark.parametrize(("strategy", "fault"), list(itertools.product(STRATEGIES, filter(None, FAULTS))))
def test_one_fault_at_every_step_and_a_look_of_the_target_before_every_other(strategy: str, fault: Fault) -> None:
    most = len(machine.STEPS[strategy])
    for at, later in itertools.product(range(most), range(most + 4)):
        hosts = Hosts(strategy)
        run(hosts, [*nothing(at), fault], [False] * later + [True])
        hosts.check_end()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_refusal_before_the_switch_leaves_the_container_as_it_was(strategy: str) -> None:
    for at in range(machine.STEPS[strategy].index("switch")):
        hosts = Hosts(strategy)
        run(hosts, [*nothing(at), "refused"])
        assert hosts == Hosts(strategy)


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(STRATEGIES),
    st.integers(0, 20),
    st.lists(st.sampled_from(FAULTS), max_size=8),
    st.lists(st.integers(0, 30), max_size=3),
)
def test_any_faults_from_any_step_on(strategy: str, before: int, faults: list[Fault], looks: list[int]) -> None:
    hosts = Hosts(strategy)
    run(hosts, nothing(before) + faults, [at in looks for at in range(31)])
    hosts.check_end()


def test_a_switch_that_arrives_after_its_writer_was_killed() -> None:
    for strategy, later in itertools.product(STRATEGIES, range(30)):
        hosts = Hosts(strategy)
        switch = machine.STEPS[strategy].index("switch")
        run(hosts, [*nothing(switch), "lost", "killed"], [False] * later + [True])
        hosts.check_end()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_source_that_dies_after_the_switch(strategy: str) -> None:
    """Its host with it: the target goes on alone, and the source gives up when it is back."""
    steps = machine.STEPS[strategy]
    hosts = Hosts(strategy)
    with pytest.raises(Killed):
        coordinate(hosts, machine.begin(strategy), [*nothing(steps.index("switch")), "killed after"])
    hosts.source_alive = False
    settle_target(hosts)
    assert hosts.target.runs
    hosts.source_alive = True
    again = settle_source(hosts)
    assert again is not None
    coordinate(hosts, again)
    hosts.check_end()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_wish_to_stay_counts_until_the_switch(strategy: str) -> None:
    steps = machine.STEPS[strategy]
    for at in range(len(steps)):
        hosts = Hosts(strategy)
        state, todo = machine.begin(strategy)
        number = 0
        following: Do | None = todo
        while following is not None:
            event = hosts.do(following.step)
            if number == at:
                state, _ = machine.step(state, Cancel("enough"))
            state, following = machine.step(state, event)
            hosts.check()
            number += 1
        hosts.check_end()
        assert hosts.source.there is (at < steps.index("switch"))
        assert (state.error == "enough") is hosts.source.there
        assert state.moved is not hosts.source.there


def test_a_refused_claim_changes_nothing() -> None:
    state, todo = machine.begin("copy")
    assert todo.step == "claim"
    state, following = machine.step(state, Failed("claim", "it is being migrated", sure=True))
    assert following is None
    assert state.mode == "ended"
    assert state.error == "it is being migrated"


def test_what_follows_the_switch_is_repeated_until_it_is_done() -> None:
    state, todo = machine.resume("copy", "switched")
    assert todo == Do("take_over")
    for _ in range(3):
        state, again = machine.step(state, Failed("take_over", "the target is away"))
        assert again == Do("take_over", again=True)
    state, following = machine.step(state, Done("take_over"))
    assert following == Do("leave")
