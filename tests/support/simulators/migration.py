"""Two hosts and the hubs between them, as far as a migration changes them: what the plan machine's tests run
against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from services.migrator.domain import machine
from services.migrator.domain.machine import Do, Done, Event, Failed, State, Step

Fault = Literal["", "refused", "lost", "killed", "killed after"]
"""What happens to a step: nothing is done and that is told; it is done and the answer gets lost; the coordinator is
killed before, or after it was done."""


class Killed(Exception):
    """The coordinator is no more."""


@dataclass
class Source:
    """The container at its source. It runs when it is neither frozen nor stopped."""

    there: bool = True
    leaving: bool = False
    held: bool = False
    frozen: bool = False
    stopped: bool = False
    attached: bool = True

    @property
    def runs(self) -> bool:
        return self.there and not self.frozen and not self.stopped


@dataclass
class Target:
    """What the target has of it. `state` is that of its process."""

    incoming: bool = False
    recorded: bool = False
    state: Literal["", "received", "held", "running"] = ""
    attached: bool = False

    @property
    def runs(self) -> bool:
        return self.state == "running"


@dataclass
class Hosts:
    """Both, the record, and what is true of them at each moment."""

    strategy: str
    source: Source = field(default_factory=Source)
    target: Target = field(default_factory=Target)
    record: str = ""
    late: str = ""
    """A write of the record that is still on its way to the hubs."""
    source_alive: bool = True
    target_ever_ran: bool = False

    def check(self) -> None:
        """Never two that run; what the outside reaches at the target runs there or is about to."""
        assert not (self.source.runs and self.target.runs), self
        assert not (self.source.runs and self.target.attached), self
        self.target_ever_ran = self.target_ever_ran or self.target.runs

    def check_end(self) -> None:
        """One that runs, and nothing left over of the move."""
        if self.source_alive:
            assert self.source.runs != self.target.runs, self
        if self.source.there and self.source_alive:
            assert self.source == Source(), self
            assert self.target == Target(), self
        elif self.source_alive:
            assert self.target == Target(recorded=True, state="running", attached=True), self
        assert self.record == "" or not self.source_alive, self

    def do(self, step: Step) -> Event:
        """The step's effect. Steps after the switch and those that take back may be done again."""
        if not self.source_alive and step in (
            "attach",
            "thaw",
            "stay",
            "leave",
            "give_up",
            "detach",
            "hold",
            "freeze",
            "capture",
        ):
            return Failed(step, "the source is away")
        method: Callable[[], Event | None] = getattr(self, f"_{step}")
        return method() or Done(step)

    def _claim(self) -> Event | None:
        if self.record:
            return Failed("claim", "it is being migrated", sure=True)
        self.record = "preparing"
        return None

    def _depart(self) -> None:
        self.source.leaving = True

    def _fetch(self) -> None: ...

    def _copy(self) -> None:
        assert self.target.incoming

    def _precopy(self) -> None:
        assert self.source.runs

    def _receive(self) -> None:
        self.target = Target(incoming=True, state="received" if self.strategy != "cold" else "")

    def _hold(self) -> None:
        self.source.held, self.source.stopped = True, self.strategy == "cold"

    def _freeze(self) -> None:
        self.source.frozen = True

    def _detach(self) -> None:
        assert self.source.frozen
        self.source.attached = False

    def _capture(self) -> None:
        assert not self.source.runs
        assert self.target.incoming
        if self.strategy != "cold":
            assert not self.source.attached
            self.target.state = "held"

    def _switch(self) -> Event | None:
        return self._write("preparing", "switched", "switch")

    def _revoke(self) -> Event | None:
        return self._write("preparing", "aborting", "revoke")

    def _write(self, expected: str, phase: str, step: Step) -> Event | None:
        if self.record != expected:
            return Failed(step, "the record was changed", sure=True)
        self.record = phase
        self.late = ""  # it was meant for a revision before this one
        return None

    def _look(self) -> Event:
        return Done("look", phase=self.record)

    def _take_over(self) -> Event | None:
        if self.target.recorded:
            return None
        if not self.target.incoming or (self.strategy != "cold" and self.target.state != "held"):
            self.target = Target()
            return Failed("take_over", "nothing is held here", sure=True)
        assert self.record == "switched", self
        self.target = Target(recorded=True, state="running", attached=True)
        return None

    def _settle(self) -> None: ...

    def _leave(self) -> None:
        assert self.target.recorded

    def _give_up(self) -> None:
        assert self.target.recorded
        self.source = Source(there=False)

    def _forget(self) -> None:
        self.record = ""

    def _attach(self) -> None:
        self.source.attached = True

    def _thaw(self) -> None:
        self.source.frozen = False

    def _stay(self) -> None:
        self.source = Source(attached=self.source.attached, frozen=self.source.frozen)

    def _abandon(self) -> Event | None:
        if self.target.recorded:
            return Failed("abandon", "it has been taken over", sure=True)
        self.target = Target()
        return None


def coordinate(
    hosts: Hosts, begun: tuple[State, Do | None], faults: Iterable[Fault] = (), meanwhile: Iterable[bool] = ()
) -> State:
    """Follows the machine to its end; raises `Killed`. After each step the hosts are checked.

    `meanwhile`: whether, before a step, a write that is under way arrives and the target's migrator sees the record.
    """
    state, todo = begun
    left, looks = iter(faults), iter(meanwhile)
    while todo is not None:
        if next(looks, False):
            arrive(hosts)
            settle_target(hosts)
        event = _attempt(hosts, todo.step, next(left, ""))
        hosts.check()
        state, todo = machine.step(state, event)
    return state


def _attempt(hosts: Hosts, step: Step, fault: Fault) -> Event:
    if fault == "killed":
        raise Killed
    if fault == "refused":
        return Failed(step, "refused")
    if fault == "lost" and step == "switch":  # the write may arrive at any later moment
        before = hosts.record
        hosts.do(step)
        if hosts.record != before:
            hosts.record, hosts.late = before, hosts.record
        return Failed(step, "no answer")
    event = hosts.do(step)
    if fault == "killed after":
        hosts.check()
        raise Killed
    return Failed(step, "no answer") if fault == "lost" else event


def arrive(hosts: Hosts) -> None:
    """The write that was under way reaches the hubs, if nothing else was written before."""
    if hosts.late and hosts.record == "preparing":
        hosts.record = hosts.late
    hosts.late = ""


def settle_target(hosts: Hosts) -> None:
    """What the target's own migrator does when it sees the record: it takes over, or clears away what nobody
    explains.
    """
    if hosts.record == "switched":
        hosts.do("take_over")
    elif not hosts.record and not hosts.target.recorded:
        hosts.target = replace(Target())
    hosts.check()


def settle_source(hosts: Hosts) -> tuple[State, Do] | None:
    """What the source's migrator does when it starts: it finishes what has a record; what is marked without one
    stays.
    """
    if hosts.record:
        return machine.resume(hosts.strategy, hosts.record)
    if hosts.source.there and hosts.source.leaving:
        for step in ("attach", "thaw", "stay"):
            hosts.do(step)
            hosts.check()
    return None
