"""Hosts of a cluster as Docker shows them."""

from __future__ import annotations

from typing import Any

from shared.clock import rfc3339
from shared.cluster import Place
from shared.contracts.scheduler import NodeRecord

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def of_host(host: NodeRecord | None) -> dict[str, Any]:
    """`Node` of what is on one host, as Docker Swarm had it before there was swarm mode; nothing outside a cluster."""
    if host is None:
        return {}
    address = Place.parse(host.address).host
    return {"Node": {"ID": host.id, "IP": address, "Addr": host.address, "Name": host.name}}


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
            "Role": "manager" if is_hub else "worker",
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
