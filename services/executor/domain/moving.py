"""Whether a container may leave its host, and what of its records goes with it."""

from __future__ import annotations

import msgspec

from shared.contracts.container import ContainerSpec, ContainerStatus, MountPoint
from shared.contracts.moving import Held
from shared.contracts.network import Sandbox
from shared.errors import Conflict, NotFound, ShoalError

MOVED_TO = "moved_to"
"""Detail of an error: the node that has what was asked for."""


def check_stays(name: str, status: ContainerStatus) -> None:
    """`Conflict` while it is being migrated: nothing may change it meanwhile."""
    if status.leaving is not None:
        raise Conflict(f"container {name} is being migrated to another host; wait for it, or break it off")


def check_depart(spec: ContainerSpec, status: ContainerStatus, migration: str) -> None:
    """`Conflict` when it is in no state to be moved."""
    if status.leaving is not None and status.leaving.migration != migration:
        raise Conflict(f"container {spec.name} is being migrated already")
    if status.state not in ("created", "running", "exited"):
        raise Conflict(f"container {spec.name} is {status.state}: it can be migrated when it runs or has stopped")


def check_leaving(status: ContainerStatus, migration: str) -> None:
    """`Conflict` when this migration of it was broken off."""
    if status.leaving is None or status.leaving.migration != migration:
        raise Conflict("this migration was broken off")


def check_hold(spec: ContainerSpec, status: ContainerStatus, *, stop: bool) -> None:
    """`Conflict` when it is not as the move needs it."""
    wanted = ("created", "exited") if stop else ("running",)
    if status.state not in wanted:
        raise Conflict(f"container {spec.name} is {status.state} by now")


def moved(container_id: str, node: str) -> ShoalError:
    """The answer to who wants something of a container that left."""
    return NotFound(f"No such container: {container_id}", **{MOVED_TO: node})


def arrived(held: Held, sandbox: Sandbox | None = None) -> ContainerStatus:
    """Its status where it has come to: what the other host had is no more; one that ran is about to be started.

    `sandbox`: the network of one whose processes come along.
    """
    here = sandbox or Sandbox(container_id="", sandbox_id="")
    gone = msgspec.structs.replace(
        held.status,
        leaving=None,
        held=False,
        pid=0,
        networks=here.endpoints,
        ports=here.ports,
        sandbox_id=here.sandbox_id,
        sandbox_key=here.path,
        resolv_conf_path=here.files.get("/etc/resolv.conf", ""),
        hostname_path=here.files.get("/etc/hostname", ""),
        hosts_path=here.files.get("/etc/hosts", ""),
        log_path="",
        log_came=held.log_bytes,
        exec_ids=(),
    )
    if not held.ran:
        return gone
    return msgspec.structs.replace(
        gone, state="restarting", restart_delay=0, stopped_by_user=False, restart_canceled=False
    )


def at_home(spec: ContainerSpec, graph_driver: dict[str, str], mountpoints: dict[str, str]) -> ContainerSpec:
    """The record on a host with its own folders; `mountpoints` by volume."""
    mounts = tuple(_here(point, mountpoints) for point in spec.mounts)
    return msgspec.structs.replace(spec, graph_driver=graph_driver, mounts=mounts)


def _here(point: MountPoint, mountpoints: dict[str, str]) -> MountPoint:
    if point.type != "volume" or point.name not in mountpoints:
        return point
    return msgspec.structs.replace(point, source=mountpoints[point.name])
