"""What an executor has to do when it meets its node anew: after its own start, after the platform's.

One pure function compares what is recorded with what is on the host. The host is the truth for what exists,
the records are the truth for what should.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from shared.contracts.container import ContainerSpec, ContainerStatus
from shared.contracts.platform import Workload

from . import lifecycle, restart
from .status import UNKNOWN_EXIT, Exit, exited


@dataclass(frozen=True)
class Recorded:
    """`specs` and `statuses` by container id, `placed` ids of this node, `names` to the id that holds each.

    `making`: by container id, the anonymous volumes whose making was begun and not ended. `elsewhere`: containers that
    other hosts have, and of which something is here.
    """

    specs: Mapping[str, ContainerSpec] = field(default_factory=dict)
    statuses: Mapping[str, ContainerStatus] = field(default_factory=dict)
    placed: frozenset[str] = frozenset()
    making: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Observed:
    """`sandboxes`: ids of containers that have a network stack. `moving`: of those whose processes are on their way
    from or to another host. `engine_started`: containers may come back.
    """

    workloads: Mapping[str, Workload] = field(default_factory=dict)
    sandboxes: frozenset[str] = frozenset()
    moving: frozenset[str] = frozenset()
    engine_started: bool = False


@dataclass(frozen=True)
class Action:
    """Something to do; the subclasses say what."""

    id: str


class Adopt(Action):
    """It runs, and the record does not say so: its start was not recorded any more."""


class Refreeze(Action):
    """The record is wrong about whether it is paused; the host is right."""


class LetGo(Action):
    """It was paused for a moment by an executor that is no more."""


class RecordExit(Action):
    """It ended; the platform still knows how."""


class RecordLoss(Action):
    """It was running and is no more, unseen: the host went down."""


class Restart(Action):
    """Its policy wants it to run now that the engine starts, and it does not."""


class Retry(Action):
    """It waits for its policy's next start, and nobody counts the time."""


class AutoRemove(Action):
    """It ended and was made with `--rm`."""


class DropWorkload(Action):
    """A process, or its remains, that no record explains any more."""


class ReleaseSandbox(Action):
    """A network stack of a container that does not run."""


@dataclass(frozen=True)
class Bury(Action):
    """Nothing but remains: half made, or half removed. `volumes` were made for it and are nobody's."""

    volumes: tuple[str, ...] = ()


class Made(Action):
    """It was made to the end, only its placement does not say so."""


@dataclass(frozen=True)
class ForgetName(Action):
    """A name that leads to no container, or to one that has another name. `id` is the name."""

    holder: str = ""


class RestoreName(Action):
    """A container whose name is not reserved."""


def plan(recorded: Recorded, observed: Observed) -> tuple[Action, ...]:
    """What to do, in an order that may be followed step by step."""
    return (
        *_names(recorded),
        *_remains(recorded, observed),
        *(action for spec in recorded.specs.values() for action in _container(spec, recorded, observed)),
    )


def _names(recorded: Recorded) -> Iterator[Action]:
    for name, holder in recorded.names.items():
        spec = recorded.specs.get(holder)
        if spec is None or spec.name != name:
            yield ForgetName(name, holder)
    for container_id, spec in recorded.specs.items():
        if recorded.names.get(spec.name) != container_id:
            yield RestoreName(container_id)


def _remains(recorded: Recorded, observed: Observed) -> Iterator[Action]:
    """Everything that belongs to no container."""
    half = recorded.placed | set(recorded.statuses) | set(recorded.names.values())
    known = set(recorded.specs) | recorded.elsewhere
    yield from (Bury(each, tuple(recorded.making.get(each, ()))) for each in sorted(half - known))
    yield from (Made(each) for each in sorted(set(recorded.making) & known))
    yield from (DropWorkload(container_id) for container_id in sorted(set(observed.workloads) - known - half))
    yield from (ReleaseSandbox(container_id) for container_id in sorted(observed.sandboxes - known - half))


def _container(spec: ContainerSpec, recorded: Recorded, observed: Observed) -> Iterator[Action]:
    status = recorded.statuses.get(spec.id, ContainerStatus())
    workload = observed.workloads.get(spec.id)
    if spec.id in observed.moving or (status.leaving is not None and status.leaving.held):
        return  # what becomes of it the migrators decide
    if status.state == "removing":
        yield Bury(spec.id)
    elif workload is not None and workload.state in ("running", "paused"):
        yield from _alive(status, workload)
    elif status.state in lifecycle.ALIVE and workload is not None and workload.state == "stopped":
        yield RecordExit(spec.id)
    elif status.state in lifecycle.ALIVE:
        yield RecordLoss(spec.id)
        if observed.engine_started and status.leaving is None:
            yield from _comes_back(spec, exited(status, Exit(UNKNOWN_EXIT, at=0)))
    elif workload is not None and workload.state == "stopped" and _is_news(status, workload):
        yield Adopt(spec.id)  # started, ended, and neither was recorded
    else:
        yield from _down(spec, status, workload, observed)


def _alive(status: ContainerStatus, workload: Workload) -> Iterator[Action]:
    if status.state in lifecycle.LEAVING:
        yield DropWorkload(workload.id)
    elif status.state not in lifecycle.ALIVE:
        yield Adopt(workload.id)
    elif status.held and workload.state == "paused":
        yield LetGo(workload.id)
    elif status.state != workload.state:
        yield Refreeze(workload.id)


def _is_news(status: ContainerStatus, workload: Workload) -> bool:
    """Whether the record does not tell this end yet."""
    recorded = status.runs > 0 and workload.exited_at == status.finished_at
    return status.state not in lifecycle.LEAVING and not recorded


def _down(
    spec: ContainerSpec, status: ContainerStatus, workload: Workload | None, observed: Observed
) -> Iterator[Action]:
    if workload is not None:
        yield DropWorkload(spec.id)
    if spec.id in observed.sandboxes:
        yield ReleaseSandbox(spec.id)
    if status.state == "restarting":
        yield Restart(spec.id) if observed.engine_started else Retry(spec.id)
    elif status.leaving is not None:
        return  # it was stopped to be moved: it is neither removed nor started by a policy
    elif spec.host_config.auto_remove and (status.runs > 0 or observed.engine_started):
        yield AutoRemove(spec.id)
    elif observed.engine_started:
        yield from _comes_back(spec, status)


def _comes_back(spec: ContainerSpec, status: ContainerStatus) -> Iterator[Action]:
    """After a restart of engine or host the policies start containers in an order of the executor's choice."""
    if restart.at_engine_start(spec.host_config.restart_policy, status):
        yield Restart(spec.id)
