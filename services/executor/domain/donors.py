"""Containers whose namespaces another joins: which may be joined, and what the refusal says."""

from __future__ import annotations

from shared.contracts.container import ContainerSpec, ContainerStatus
from shared.errors import Conflict, InvalidArgument, ShoalError

from . import lifecycle
from .workload import Donor


def missing(kind: str, reference: str) -> ShoalError:
    """The container that was to be joined does not exist. (dockerd answers 500: it blames itself.)"""
    if kind == "network":
        return Conflict(f"joining network namespace of container: {no_such(reference)}")
    return InvalidArgument(_joining(kind) + no_such(reference))


def no_such(reference: str) -> str:
    """What Docker says of a container that is not there, or was not named at all."""
    return f"No such container: {reference}" if reference else 'invalid name or ID supplied: ""'


def checked(kind: str, joiner: str, reference: str, spec: ContainerSpec, status: ContainerStatus) -> Donor:
    """The donor when it can be joined now; raises otherwise."""
    if kind == "network":
        _check_network(joiner, reference, spec, status)
    else:
        _check_process(kind, reference, status)
    if kind == "ipc" and spec.host_config.ipc_mode != "shareable":
        raise InvalidArgument(
            f"{_joining(kind)}container {reference}: non-shareable IPC "
            "(hint: use IpcMode:shareable for the donor container)"
        )
    return Donor(spec, status)


def _joining(kind: str) -> str:
    return f"failed to join {kind.upper()} namespace: "


def _check_process(kind: str, reference: str, status: ContainerStatus) -> None:
    try:
        lifecycle.check_top(status.state, reference)
    except Conflict as error:
        raise Conflict(_joining(kind) + error.message) from None


def _check_network(joiner: str, reference: str, spec: ContainerSpec, status: ContainerStatus) -> None:
    if spec.id == joiner:
        raise Conflict("cannot join own network namespace")
    if status.state not in lifecycle.RUNNING:
        raise Conflict(
            f"cannot join network namespace of a non running container: container {spec.name} is {status.state}"
        )
    if status.state == "restarting":
        raise Conflict(
            "cannot join network namespace of container: "
            f"Container {reference} is restarting, wait until the container is running"
        )
