"""The lifecycle of a container: which event leads where, and which operation is refused in which state.

Texts are those of Docker Engine 28 (what the CLI 28 prints after `Error response from daemon: `); 20.10
worded some of them differently, and clients test for kinds, not for texts.
"""

from __future__ import annotations

from typing import Literal

from shared.contracts.container import State
from shared.errors import Conflict, NotModified, ShoalError

Event = Literal[
    "started", "exited", "retrying", "gave_up", "paused", "unpaused", "removing", "failed_removal", "postponed"
]

RUNNING: frozenset[State] = frozenset({"running", "paused", "restarting"})
"""States that Docker counts as running: `restarting` waits for its next start."""
ALIVE: frozenset[State] = frozenset({"running", "paused"})
"""States with a live process."""
LEAVING: frozenset[State] = frozenset({"removing", "dead"})

TRANSITIONS: dict[tuple[State, Event], State] = {
    ("created", "started"): "running",
    ("exited", "started"): "running",
    ("restarting", "started"): "running",
    ("running", "exited"): "exited",
    ("paused", "exited"): "exited",
    ("running", "retrying"): "restarting",
    ("paused", "retrying"): "restarting",
    ("restarting", "gave_up"): "exited",
    ("created", "postponed"): "restarting",
    ("exited", "postponed"): "restarting",
    ("restarting", "postponed"): "restarting",
    ("running", "paused"): "paused",
    ("paused", "unpaused"): "running",
    ("created", "removing"): "removing",
    ("exited", "removing"): "removing",
    ("dead", "removing"): "removing",
    ("removing", "failed_removal"): "dead",
}


def after(state: State, event: Event) -> State:
    """The next state; `Conflict` for an event that cannot happen in this one."""
    following = TRANSITIONS.get((state, event))
    if following is None:
        raise Conflict(f"a container that is {state} cannot become {event.replace('_', ' ')}")
    return following


def check_start(state: State) -> None:
    """`NotModified` when it runs, `Conflict` when it is paused or on its way out."""
    if state == "paused":
        raise Conflict("cannot start a paused container, try unpause instead")
    if state in RUNNING:
        raise NotModified("container is already running")
    if state in LEAVING:
        raise Conflict("container is marked for removal and cannot be started")


def check_stop(state: State) -> None:
    """`NotModified` when there is nothing to stop."""
    if state not in RUNNING:
        raise NotModified("container is already stopped")


def not_running(container_id: str) -> ShoalError:
    """The refusal of what needs a running container."""
    return Conflict(f"container {container_id} is not running")


def check_running(state: State, container_id: str) -> None:
    """For what needs a running container and does not care whether it is paused (kill, resize)."""
    if state not in RUNNING:
        raise not_running(container_id)


def check_pause(state: State, container_id: str) -> None:
    """`Conflict` unless a live process is there and not paused."""
    check_running(state, container_id)
    if state == "paused":
        raise Conflict(f"Container {container_id} is already paused")
    _check_not_restarting(state, container_id)


def check_unpause(state: State, container_id: str) -> None:
    """`Conflict` unless it is paused."""
    if state != "paused":
        raise Conflict(f"Container {container_id} is not paused")


def check_exec(state: State, container_id: str, called: str = "") -> None:
    """`Conflict` unless another process can be started in it now; one that is paused is `called` what it was called."""
    check_running(state, container_id)
    if state == "paused":
        raise Conflict(f"Container {called or container_id} is paused, unpause the container before exec")
    _check_not_restarting(state, container_id)


def check_checkpoint(state: State, container_id: str) -> None:
    """`Conflict` unless its processes run."""
    if state == "paused":
        raise Conflict(f"Container {container_id} is paused, unpause the container before checkpoint")
    if state != "running":
        raise not_running(container_id)


def check_top(state: State, container_id: str) -> None:
    """`Conflict` unless it has processes."""
    check_running(state, container_id)
    _check_not_restarting(state, container_id)


def check_attach(state: State, reference: str) -> None:
    """Attaching to what does not run (yet) is allowed."""
    if state == "paused":
        raise Conflict(f"container {reference} is paused, unpause the container before attach")
    if state == "restarting":
        raise Conflict(f"container {reference} is restarting, wait until the container is running")


def check_logs(state: State) -> None:
    """`Conflict` while it is on its way out."""
    if state in LEAVING:
        raise Conflict("can not get logs from container which is dead or marked for removal")


def check_commit(state: State, container_id: str) -> None:
    """`Conflict` while it is on its way out."""
    if state == "dead":
        raise Conflict(f"You cannot commit container {container_id} which is Dead")
    if state == "removing":
        raise Conflict(f"You cannot commit container {container_id} which is being removed")


def check_export(state: State, container_id: str) -> None:
    """`Conflict` while it is on its way out."""
    if state == "dead":
        raise Conflict(f"You cannot export container {container_id} which is Dead")
    if state == "removing":
        raise Conflict(f"You cannot export container {container_id} which is being removed")


def check_copy(state: State, container_id: str) -> None:
    """`Conflict` while it is on its way out: its files may be gone."""
    if state in LEAVING:
        raise Conflict(f"container {container_id} is marked for removal and cannot be copied from or to")


def check_remove(state: State, reference: str, force: bool) -> None:
    """`reference` is what the client called it."""
    if state == "removing":
        raise removal_in_progress(reference)
    if force or state not in RUNNING:
        return
    reason = (
        "container is paused and must be unpaused first"
        if state == "paused"
        else f"container is {state}: stop the container before removing or force remove"
    )
    raise Conflict(f'cannot remove container "{reference}": {reason}')


def removal_in_progress(reference: str) -> ShoalError:
    """The refusal of a second removal."""
    return Conflict(f"removal of container {reference} is already in progress")


def _check_not_restarting(state: State, container_id: str) -> None:
    if state == "restarting":
        raise Conflict(f"Container {container_id} is restarting, wait until the container is running")
