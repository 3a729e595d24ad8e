"""Which containers may start again on another host, and what a host does that has its lease (anew).

Pure. A movable container (`ContainerSpec.generation` is not 0) runs only on the host that its record at the hubs
names, and only while that host holds its lease.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from shared.contracts.container import ContainerSpec, ContainerStatus
from shared.contracts.movable import MovableRecord

from . import lifecycle

LABEL = "shoal.failover"
OFF = ("off", "false", "no", "0")
_ANY_ADDRESS = ("", "0.0.0.0", "::")  # what a client asks for, not what is listened at


def bound_by(spec: ContainerSpec) -> str:
    """What ties a container to its host, of what it asks for itself; empty: nothing."""
    host = spec.host_config
    modes = (host.network_mode, host.ipc_mode, host.pid_mode, host.uts_mode)
    bindings = [each.host_ip for published in host.port_bindings.values() for each in published]
    reasons = {
        "no restart policy": host.restart_policy.name in ("", "no"),
        f"label {LABEL}": spec.config.labels.get(LABEL, "").casefold() in OFF,
        "files of its host": any(point.type != "tmpfs" for point in spec.mounts),
        "the host's devices": bool(host.privileged or host.devices or host.device_requests),
        "namespaces of its host": any(mode == "host" or mode.startswith("container:") for mode in modes),
        "links to other containers": bool(host.links or host.volumes_from),
        "an address of its host": any(address not in _ANY_ADDRESS for address in bindings),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def wanted(status: ContainerStatus) -> bool:
    """Whether another host should start it if this one is lost."""
    return status.state in lifecycle.RUNNING


def control_group(spec: ContainerSpec, parent: str) -> str:
    """Its control group, as the platform names it."""
    parts = (spec.host_config.cgroup_parent or parent).split("/")
    return "/" + "/".join([*(part for part in parts if part not in ("", ".", "..")), spec.id])


@dataclass(frozen=True)
class Action:
    """Something to do with one container."""

    id: str


class Drop(Action):
    """Another host has it, or it was removed there: what is here goes without a word."""


class Tell(Action):
    """The hubs do not know what this host knows of it."""


class Claim(Action):
    """It runs here, and is made sure of for the present tenure."""


class Go(Action):
    """It may run here (again), and waits for that."""


class Make(Action):
    """It is this host's, and is not here: its taking over was interrupted."""


class Forget(Action):
    """A record of a container of this host that is no more, or never came to be."""


def settle(
    node: str,
    local: Mapping[str, tuple[ContainerSpec, ContainerStatus]],
    records: Mapping[str, MovableRecord],
) -> tuple[Action, ...]:
    """What to do on a host that holds its lease: what is on it and what the hubs say come to agree."""
    return (*_local(node, local, records), *_missing(node, local, records))


def _local(
    node: str, local: Mapping[str, tuple[ContainerSpec, ContainerStatus]], records: Mapping[str, MovableRecord]
) -> Iterator[Action]:
    for id, (spec, status) in local.items():
        record = records.get(id)
        if not spec.generation:
            continue
        if record is not None and (record.removed or record.node != node):
            yield Drop(id)
        else:
            if status.fenced:
                yield Go(id)
            elif wanted(status):
                yield Claim(id)
            elif record is None or (record.spec, record.wanted) != (spec, False):
                yield Tell(id)


def _missing(
    node: str, local: Mapping[str, tuple[ContainerSpec, ContainerStatus]], records: Mapping[str, MovableRecord]
) -> Iterator[Action]:
    for id, record in records.items():
        if id in local:
            continue
        if record.node == node and not record.removed:
            yield Make(id) if record.wanted else Forget(id)
        elif node in record.left:
            yield Drop(id)
