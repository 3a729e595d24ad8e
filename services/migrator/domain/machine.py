"""The plan machine of a migration: `step(state, event) -> (state, what to do next)`.

One write decides who owns the container, the *switch*: the record's phase goes from `preparing` to `switched` by
compare-and-set. What comes before is taken back in reverse when anything fails; what comes after is repeated until it
is done. Whether the switch was written may stay unknown (its answer is lost, the hubs are away): then the target is
asked to give up what it holds. Once it has, nothing can go on there, and the source goes on whatever the record says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Step = Literal[
    "claim", "depart", "fetch", "receive", "copy", "precopy", "hold", "freeze", "detach", "capture",
    "switch", "take_over", "leave", "settle", "give_up", "forget",
    "revoke", "look", "attach", "thaw", "stay", "abandon",
]  # fmt: skip
"""The last row takes back: `revoke` the claim (a compare-and-set: no switch can follow it), `look` at the record, the
rest in the order `attach`, `thaw`, `stay` at the source, `abandon` at the target."""
Mode = Literal["forward", "onward", "doubt", "back", "ended"]
"""Before the switch, after it, not knowing, taking back, over."""

_BEFORE: tuple[Step, ...] = ("claim", "depart", "fetch", "receive", "copy")
_LIVE: tuple[Step, ...] = (
    *_BEFORE, "precopy", "hold", "freeze", "detach", "capture", "switch",
    "take_over", "leave", "settle", "give_up", "forget",
)  # fmt: skip
STEPS: dict[str, tuple[Step, ...]] = {
    "cold": (*_BEFORE, "hold", "capture", "switch", "take_over", "leave", "give_up", "forget"),
    "copy": _LIVE,
    "post-copy": _LIVE,
}
"""What each strategy does; after `leave` everybody looks for the container at the target."""

_UNDO: tuple[tuple[Step, Step], ...] = (
    ("attach", "detach"), ("thaw", "freeze"), ("stay", "depart"), ("abandon", "receive"), ("forget", "claim")
)  # fmt: skip
"""What takes back which step, in this order: first of all the container goes on at its source."""


@dataclass(frozen=True)
class Done:
    """A step was done. `phase`: what `look` saw (empty: no record)."""

    step: Step
    phase: str = ""


@dataclass(frozen=True)
class Failed:
    """A step failed. `sure`: it is certain that it was refused, and had no effect; else it may have been done."""

    step: Step
    error: str
    sure: bool = False


@dataclass(frozen=True)
class Cancel:
    """Somebody wants the container to stay; too late after the switch."""

    reason: str


Event = Done | Failed | Cancel


@dataclass(frozen=True)
class Do:
    """The next step. `again`: it failed before, so it is worth a pause."""

    step: Step
    again: bool = False


@dataclass(frozen=True)
class State:
    """`todo` begins with the step that is being done; `tried`: what was begun of those before the switch.

    `error`: why the container stays; `canceled`: a wish to stay that came while a step was being done.
    """

    strategy: str
    mode: Mode
    todo: tuple[Step, ...]
    tried: frozenset[Step] = frozenset()
    error: str = ""
    canceled: str = ""

    @property
    def moved(self) -> bool:
        """Whether the container is the target's now."""
        return self.mode == "onward" or (self.mode == "ended" and not self.error)


def begin(strategy: str) -> tuple[State, Do]:
    """A new migration."""
    steps = STEPS[strategy]
    return State(strategy, "forward", steps, frozenset((steps[0],))), Do(steps[0])


def resume(strategy: str, phase: str, error: str = "whoever coordinated it ended") -> tuple[State, Do]:
    """One that somebody else left, which has a record with this phase: all of its steps may have been done."""
    state = State(strategy, "back", ("revoke",), frozenset(STEPS[strategy]), error)
    return _onward(state) if phase == "switched" else _go(state)


def step(state: State, event: Event) -> tuple[State, Do | None]:
    """What follows; None: the migration is over, or a step is still being done."""
    if isinstance(event, Cancel):
        return (replace(state, canceled=event.reason) if state.mode == "forward" else state), None
    if isinstance(event, Done):
        return _done(state, event)
    return _failed(state, event)


def _done(state: State, event: Done) -> tuple[State, Do | None]:
    rest = state.todo[1:]
    if event.step == "switch":
        return _onward(state)
    if event.step == "revoke":
        return _back(state, state.error)
    if event.step == "look":
        return _looked(state, event.phase)
    if state.mode == "doubt":  # the target holds nothing any more
        return _back(state, state.error, without="abandon")
    if not rest:
        return replace(state, mode="ended", todo=()), None
    if state.mode == "forward" and state.canceled:
        return _back(state, state.canceled)
    return _go(replace(state, todo=rest, tried=state.tried | {rest[0]} if state.mode == "forward" else state.tried))


def _looked(state: State, phase: str) -> tuple[State, Do]:
    if phase == "switched":
        return _onward(state)
    if phase == "preparing":  # the switch may still be on its way
        return _go(replace(state, mode="back", todo=("revoke",)))
    return _back(state, state.error)


def _failed(state: State, event: Failed) -> tuple[State, Do | None]:
    failed = replace(state, error=state.error or event.error)
    match state.mode:
        case "forward":
            return _failed_before(failed, event)
        case "onward":
            return _failed_after(state, event)
        case "back":
            return _failed_back(failed, event)
    if event.step == "abandon" and event.sure:  # the target has taken the container over
        return _onward(state)
    return _doubt(failed, "look" if event.step == "abandon" else "abandon", again=event.step == "look")


def _failed_before(state: State, event: Failed) -> tuple[State, Do | None]:
    if event.step == "claim" and event.sure:  # nothing was begun
        return replace(state, mode="ended", todo=()), None
    if event.step == "switch" and not event.sure:
        return _doubt(state, "abandon")
    return _back(state, event.error)


def _failed_after(state: State, event: Failed) -> tuple[State, Do | None]:
    if event.step == "take_over" and event.sure:  # the target itself says that it holds nothing
        return _back(state, event.error, without="abandon")
    if event.step == "settle":  # there is nobody left to give the rest
        return _go(replace(state, todo=state.todo[1:]))
    return _go(state, again=True)


def _failed_back(state: State, event: Failed) -> tuple[State, Do | None]:
    if event.step == "revoke":  # sure: the record says something else by now, or there is none
        return _doubt(state, "look" if event.sure else "abandon")
    if event.step == "abandon":  # the target clears it away itself when it sees that the record is gone
        return _go(replace(state, todo=state.todo[1:]))
    return _go(state, again=True)


def _doubt(state: State, ask: Step, again: bool = False) -> tuple[State, Do]:
    """Nobody knows whether the switch was written: the target, or the record, is asked."""
    return _go(replace(state, mode="doubt", todo=(ask,)), again)


def _onward(state: State) -> tuple[State, Do]:
    """The container is the target's: all that follows the switch is to be done, some of it perhaps again."""
    steps = STEPS[state.strategy]
    return _go(replace(state, mode="onward", todo=steps[steps.index("switch") + 1 :], error=""))


def _back(state: State, error: str, without: str = "") -> tuple[State, Do]:
    todo = tuple(undo for undo, tried in _UNDO if tried in state.tried and undo != without)
    return _go(replace(state, mode="back", todo=todo, error=error))


def _go(state: State, again: bool = False) -> tuple[State, Do]:
    return state, Do(state.todo[0], again)
