from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import reconcile, telemetry
from shared.errors import Unavailable
from shared.reconcile import Loop, Plan


class World:
    """What should be, and what is: sets of names. Acting makes one name be, or be no more."""

    def __init__(self) -> None:
        self.desired: set[str] = set()
        self.observed: set[str] = set()
        self.failing: dict[str, Exception] = {}
        self.done: list[str] = []
        self.runs = 0
        self.ran = asyncio.Event()
        self.again_in: float | None = None
        self.loop = Loop("names", lambda: set(self.desired), self._observe, self._plan, self._act)

    async def _observe(self) -> set[str]:
        if "observe" in self.failing:
            raise self.failing["observe"]
        return set(self.observed)

    def _plan(self, desired: set[str], observed: set[str], now: int) -> Plan[str]:
        self.runs += 1
        self.ran.set()
        assert now > 1_700_000_000 * 10**9
        return Plan(sorted(desired ^ observed), self.again_in)

    async def _act(self, name: str) -> None:
        self.done.append(name)
        if name in self.failing:
            raise self.failing[name]
        self.observed ^= {name}


@pytest.fixture
async def world(monkeypatch):
    monkeypatch.setattr(reconcile, "FIRST_DELAY", 0.01)
    made = World()
    yield made
    await made.loop.close()


async def test_it_runs_at_its_begin_and_when_triggered_and_not_else(world):
    world.desired = {"a", "b"}
    world.loop.open()
    await world.loop.settled()
    assert (world.observed, world.runs) == ({"a", "b"}, 1)
    await asyncio.sleep(0.05)
    assert world.runs == 1
    world.desired = {"b"}
    world.loop.trigger()
    await world.loop.settled()
    assert (world.observed, world.runs) == ({"b"}, 2)


async def test_many_triggers_at_once_are_one_run_and_one_during_a_run_is_one_more(world):
    world.loop.open()
    for _ in range(10):
        world.loop.trigger()
    await world.loop.settled()
    assert world.runs == 1
    gate, inner = asyncio.Event(), world._act

    async def slow(name: str) -> None:
        await gate.wait()
        await inner(name)

    world.loop._act = slow
    world.desired = {"a"}
    world.loop.trigger()
    world.ran.clear()
    await world.ran.wait()
    for _ in range(10):
        world.loop.trigger()
    gate.set()
    await world.loop.settled()
    assert (world.observed, world.runs) == ({"a"}, 3)


@pytest.mark.parametrize("error", [Unavailable("not now"), RuntimeError("a defect")])
async def test_an_action_that_fails_leaves_the_others_to_be_done_and_is_tried_again(world, error, caplog):
    world.desired, world.failing = {"a", "b", "c"}, {"b": error}
    world.loop.open()
    await world.loop.settled()
    assert (world.done, world.observed) == (["a", "b", "c"], {"a", "c"})
    assert "'b'" in caplog.text
    assert ("Traceback" in caplog.text) == isinstance(error, RuntimeError)
    world.failing.clear()
    world.ran.clear()
    await world.ran.wait()
    await world.loop.settled()
    assert world.observed == {"a", "b", "c"}


async def test_it_goes_on_when_what_is_cannot_be_seen(world):
    world.desired, world.failing = {"a"}, {"observe": Unavailable("the host hangs")}
    world.loop.open()
    await world.loop.settled()
    assert world.runs == 0
    world.failing.clear()
    await world.ran.wait()
    await world.loop.settled()
    assert world.observed == {"a"}


async def test_failures_in_a_row_make_it_wait_longer_and_longer_up_to_a_limit(world, monkeypatch):
    monkeypatch.setattr(reconcile, "LONGEST_DELAY", 0.05)
    delays = [world.loop._delay() for _ in range(8)]
    assert delays[:4] == [0.01, 0.02, 0.04, 0.05]
    assert set(delays[3:]) == {0.05}


async def test_a_plan_can_ask_for_another_look_later(world):
    world.again_in = 0.02
    world.loop.open()
    await world.loop.settled()
    world.ran.clear()
    await world.ran.wait()
    world.again_in = None
    await world.loop.settled()
    assert world.runs == 2


async def test_a_trigger_meanwhile_makes_the_later_look_needless(world):
    world.again_in = 0.05
    world.loop.open()
    await world.loop.settled()
    world.again_in = None
    world.loop.trigger()
    await world.loop.settled()
    await asyncio.sleep(0.1)
    assert world.runs == 2


async def test_a_run_links_to_the_traces_that_triggered_it(world):
    records: list[telemetry.SpanRecord] = []
    stop = telemetry.configure("test", "node1", records.append)
    first, second = (f"00-{number:032x}-{number:016x}-01" for number in (1, 2))
    for traceparent in (first, "", "nonsense", second):
        world.loop.trigger(traceparent)
    with telemetry.span("opener"):
        world.loop.open()
    await world.loop.settled()
    world.loop.trigger()
    await world.loop.settled()
    stop()
    runs = [record for record in records if record.name == "reconcile names"]
    assert [run.links for run in runs] == [(f"{1:032x}", f"{2:032x}"), ()]
    assert {run.parent_id for run in runs} == {""}


async def test_closing_breaks_off_what_is_being_done(world):
    begun = asyncio.Event()

    async def never(name: str) -> None:
        begun.set()
        await asyncio.Event().wait()

    world.loop._act = never
    world.desired = {"a"}
    world.loop.open()
    await begun.wait()
    async with asyncio.timeout(60):
        await world.loop.close()
    assert world.observed == set()


wishes = st.lists(st.sets(st.sampled_from("abcd")), min_size=1, max_size=8)


@given(wishes, st.sets(st.sampled_from("abcd")))
def test_whatever_was_wished_in_between_the_last_wish_comes_true(history, failing):
    async def scenario() -> None:
        world = World()
        world.failing = {name: Unavailable("once") for name in failing}
        world.loop.open()
        for wish in history:
            world.desired = wish
            world.loop.trigger()
            await asyncio.sleep(0)
        world.failing.clear()
        world.loop.trigger()
        await world.loop.settled()
        assert world.observed == history[-1]
        await world.loop.close()

    asyncio.run(scenario())
