"""Hosts of a cluster as Docker shows them."""

from __future__ import annotations

from typing import Any

from shared.cluster import Place
from shared.contracts.scheduler import NodeRecord


def of_container(host: NodeRecord | None) -> dict[str, Any]:
    """`Node` of inspect, as Docker Swarm had it before there was swarm mode; nothing outside a cluster."""
    if host is None:
        return {}
    address = Place.parse(host.address).host
    return {"Node": {"ID": host.id, "IP": address, "Addr": host.address, "Name": host.name}}
