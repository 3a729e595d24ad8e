"""The routing mesh: at which ports hosts take clients for containers of others, and how packets get there and back.

A client's connection to a meshed port of any host is led (DNAT) to the container's own address on its network across
hosts, and passed on to the container's host by a VXLAN interface that joins the hosts alone, with the client's address
as it is. That host remembers from which it came, and sends answers back that way. Where a container is, is in its
endpoint's record: when it moves, a route changes and nothing else. That host leads its own clients from outside by the
same address, so that they may stay, too. Pure.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.contracts.container import PortBinding
from shared.contracts.network import EndpointRecord
from shared.errors import InvalidArgument

from . import peers
from .addresses import Address
from .publishing import parse_port
from .ruleset import MESH_MASK

VNI = 4096
"""The number below those of networks (`spanning.FIRST_NUMBER`)."""
SHIFT = 20
MOST_HOSTS = (MESH_MASK >> SHIFT) - 1
"""Others that a host knows apart by a mark; it takes no part in the mesh with more than these."""
Elements = frozenset[tuple[str, str]]


def published(ports: Mapping[str, Sequence[PortBinding] | None]) -> dict[str, int]:
    """Host ports (`8080/tcp`) with the container's port: those of one number, at no certain address."""
    found = {}
    for name, bindings in ports.items():
        port, protocol = parse_port(name)
        for binding in bindings or ():
            number = binding.host_port.partition("/")[0]
            if number.isdigit() and number != "0" and binding.host_ip in ("", "0.0.0.0", "::"):
                found[f"{number}/{protocol}"] = port
    return found


@dataclass(frozen=True)
class Peer:
    """Another host: its number here, where it is, and what its interface of the mesh is called."""

    number: int
    host: Address
    mac: str
    hop: Address

    @property
    def mark(self) -> int:
        return self.number << SHIFT


@dataclass(frozen=True)
class Target:
    """An address that clients are led to: by which peer, or (None) on which network's bridge here; its MAC there."""

    address: Address
    peer: str | None
    network_id: str = ""
    mac: str = ""


@dataclass(frozen=True)
class Mesh:
    """All that a host has of it. Ports are those that it publishes for others (protocol, port)."""

    peers: Mapping[str, Peer] = field(default_factory=dict)
    targets: Mapping[Address, Target] = field(default_factory=dict)
    ports: Mapping[tuple[str, int], EndpointRecord] = field(default_factory=dict)


def mac(node: str) -> str:
    """That of a host's interface of the mesh."""
    return "02:" + hashlib.sha256(node.encode()).digest()[:5].hex(":")


def hop(node: str) -> Address:
    """The link-local address by which a host is the next hop there."""
    return ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + hashlib.sha256(node.encode()).digest()[:8])


def numbers(known: Mapping[str, int], nodes: Iterable[str]) -> dict[str, int]:
    """A number for each host that has none yet; those that have one keep it, connections are marked with it.

    Those above `MOST_HOSTS` have none.
    """
    nodes = set(nodes)
    found = {node: known[node] for node in nodes if node in known}
    used = set(known.values())
    free = (number for number in range(1, MOST_HOSTS + 1) if number not in used)
    return found | dict(zip(sorted(nodes - found.keys()), free, strict=False))


def meshed(records: Iterable[EndpointRecord]) -> dict[tuple[str, int], EndpointRecord]:
    """Whose each port is. Of two that came at the same moment all hosts choose the same."""
    found: dict[tuple[str, int], EndpointRecord] = {}
    for record in sorted(records, key=lambda record: record.id, reverse=True):
        for name in record.meshed:
            try:
                port, protocol = parse_port(name)
            except InvalidArgument:
                continue
            found[protocol, port] = record
    return found


def taken(
    wanted: Iterable[str], container_id: str, records: Iterable[EndpointRecord]
) -> tuple[str, EndpointRecord] | None:
    """A port of those wanted that another container of the cluster has."""
    others = meshed(record for record in records if record.container_id != container_id)
    for name in wanted:
        port, protocol = parse_port(name)
        if (found := others.get((protocol, port))) is not None:
            return name, found
    return None


def plan(records: Iterable[EndpointRecord], node: str, hosts: Mapping[str, str], known: Mapping[str, int]) -> Mesh:
    """What this host is to have. `known`: the numbers that hosts had before."""
    ports = meshed(records)
    if not ports:
        return Mesh()
    others = {other: address for other, address in hosts.items() if other != node}
    numbered = numbers(known, others)
    found = {
        other: Peer(number, ipaddress.ip_address(others[other]), mac(other), hop(other))
        for other, number in numbered.items()
    }
    targets: dict[Address, Target] = {}
    for record in ports.values():
        for address in peers.addresses(record):
            if record.node == node:
                targets[address] = Target(address, None, record.network_id, record.mac_address)
            elif record.node in found:
                targets[address] = Target(address, record.node)
    return Mesh(found, targets, ports)


def come(before: Mesh, after: Mesh) -> list[Address]:
    """Addresses that were another host's and are this one's now."""
    return [
        address
        for address, target in after.targets.items()
        if target.peer is None and address in before.targets and before.targets[address].peer is not None
    ]


def elements(mesh: Mesh, link: str, open_here: Iterable[tuple[str, int]]) -> Elements:
    """What the firewall has of it. `open_here`: ports that are taken by nothing else on this host."""
    if not mesh.ports:
        return frozenset()
    found = {("mesh_link", f'"{link}"')}
    found |= {("mesh_peers", f"{peer.mac} : {hex(peer.mark)}") for peer in mesh.peers.values()}
    allowed = set(open_here)
    for (protocol, port), record in mesh.ports.items():
        target = record.meshed[f"{port}/{protocol}"]
        for address in peers.addresses(record):
            if address not in mesh.targets:
                continue
            found.add((f"meshed{address.version}", f"{address} . {protocol} . {target}"))
            peer = mesh.peers.get(mesh.targets[address].peer or "")
            if peer is not None and peer.host.version == address.version == 4:
                found.add(("mesh_home", f"{peer.host} . {address}"))
            if (protocol, port) in allowed:
                led = f"{protocol} . {port} : {address} . {target}"
                found.add(("mesh_ports", f"{protocol} . {port}"))
                found.add((f"mesh{address.version}", led))
                if mesh.targets[address].peer is None:
                    found.add((f"mesh_here{address.version}", led))
    return frozenset(found)
