"""Containers whose namespaces another joins: which may be joined, and what the refusal says."""

from __future__ import annotations

from shared.contracts.container import ContainerSpec, ContainerStatus
from shared.errors import Conflict, InvalidArgument, ShoalError

from . import lifecycle
from .workload import Donor


def missing(kind: str, reference: str) -> ShoalError:
    """The container that was to be joined does not exist. (dockerd answers 500: it blames itself.)"""
    if kind == "network":
        return Conflict(f"joining network namespace of container: No such container: {reference}")
    return InvalidArgument(f"No such container: {reference}")


def checked(kind: str, joiner: str, reference: str, spec: ContainerSpec, status: ContainerStatus) -> Donor:
    """The donor when it can be joined now; raises otherwise."""
    if kind == "network":
        _check_network(joiner, reference, spec, status)
    else:
        lifecycle.check_top(status.state, reference)
    if kind == "ipc" and spec.host_config.ipc_mode != "shareable":
        raise InvalidArgument(
            f"container {reference}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
        )
    return Donor(spec, status)


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
