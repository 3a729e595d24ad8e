"""Hosts of a cluster as Docker shows them."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.clock import rfc3339
from shared.cluster import Place
from shared.contracts.scheduler import Availability, NodeRecord, UpdateRequest
from shared.errors import InvalidArgument

from .shape import Shape


class _Spec(msgspec.Struct, frozen=True):
    """What a client says of a host. All of it: labels that are left out go."""

    labels: dict[str, str] = {}
    role: str = ""
    availability: str = ""


_SPEC = Shape(_Spec, "NodeSpec")
_AVAILABILITIES: dict[str, Availability | None] = {"": None, "active": "active", "pause": "pause", "drain": "drain"}
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def of_host(host: NodeRecord | None) -> dict[str, Any]:
    """`Node` of what is on one host, as Docker Swarm had it before there was swarm mode; nothing outside a cluster."""
    if host is None:
        return {}
    address = Place.parse(host.address).host
    return {"Node": {"ID": host.id, "IP": address, "Addr": host.address, "Name": host.name}}


def update_request(host: NodeRecord, data: dict[str, Any] | None) -> UpdateRequest:
    """The scheduler's request; raises `InvalidArgument` for what is wrong, or not for a client to say."""
    wanted = _SPEC.load(data or {})
    if wanted.availability.lower() not in _AVAILABILITIES:
        raise InvalidArgument(f'invalid Availability: "{wanted.availability}"')
    if wanted.role.lower() not in ("", _role(host)):
        raise InvalidArgument(
            f"node {host.name} stays a {_role(host)}: the cluster itself makes managers (hubs) of hosts, "
            "one of fewer than three, three, or five of five and more"
        )
    without = tuple(name for name in host.labels if name not in wanted.labels)
    availability = _AVAILABILITIES[wanted.availability.lower()]
    return UpdateRequest(node=host.id, labels=wanted.labels, without=without, availability=availability)


def _role(host: NodeRecord) -> str:
    return "manager" if host.role == "hub" else "worker"


def show(host: NodeRecord, ready: bool, hubs: int) -> dict[str, Any]:
    """A host as swarm mode's `Node`: hubs are its managers. `hubs`: how many there are; a single one leads."""
    is_hub = host.role == "hub"
    told = {
        "ID": host.id,
        "Version": {"Index": 0},
        "CreatedAt": rfc3339(host.joined),
        "UpdatedAt": rfc3339(host.joined),
        "Spec": {
            "Labels": host.labels,
            "Role": _role(host),
            "Availability": host.availability,
        },
        "Description": {
            "Hostname": host.name,
            "Platform": {"Architecture": _MACHINES.get(host.architecture, host.architecture), "OS": host.os},
            "Resources": {"NanoCPUs": host.cpus, "MemoryBytes": host.memory},
            "Engine": {"EngineVersion": host.version, "Labels": host.engine_labels, "Plugins": []},
        },
        "Status": {"State": "ready" if ready else "down", "Addr": Place.parse(host.address).host},
    }
    if is_hub:
        reachable = "reachable" if ready else "unreachable"
        told["ManagerStatus"] = {"Leader": hubs == 1, "Reachability": reachable, "Addr": host.address}
    return told
