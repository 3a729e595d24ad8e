"""Who is where on a network across hosts, and what a VXLAN interface has to know of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shared.contracts.network import EndpointRecord
from shared.contracts.network_driver import Peer

from .addresses import Address


def addresses(record: EndpointRecord) -> tuple[Address, ...]:
    """An endpoint's addresses, IPv4 first."""
    return tuple(ipaddress.ip_interface(text).ip for text in (record.ipv4_address, record.ipv6_address) if text)


def peers(records: Iterable[EndpointRecord], node: str, hosts: Mapping[str, str]) -> tuple[Peer, ...]:
    """The endpoints on other hosts than `node`, each once, with their hosts' addresses; hosts unknown are left out."""
    found = {
        record.id: Peer(mac=record.mac_address, addresses=tuple(map(str, addresses(record))), host=hosts[record.node])
        for record in records
        if record.node != node and record.node in hosts
    }
    return tuple(found[id] for id in sorted(found))


@dataclass(frozen=True)
class Entries:
    """What a VXLAN interface knows: the host of each MAC, the MAC of each address."""

    hosts: Mapping[str, Address] = field(default_factory=dict)
    macs: Mapping[Address, str] = field(default_factory=dict)


def entries(known: Iterable[Peer]) -> Entries:
    """The entries for these peers."""
    hosts: dict[str, Address] = {}
    macs: dict[Address, str] = {}
    for peer in known:
        hosts[peer.mac] = ipaddress.ip_address(peer.host)
        macs |= {ipaddress.ip_address(address): peer.mac for address in peer.addresses}
    return Entries(hosts, macs)


def missing(wanted: Entries, present: Entries) -> Entries:
    """What of `wanted` is not, or is otherwise, in `present`."""
    return Entries(
        {mac: host for mac, host in wanted.hosts.items() if present.hosts.get(mac) != host},
        {address: mac for address, mac in wanted.macs.items() if present.macs.get(address) != mac},
    )


def stale(wanted: Entries, present: Entries) -> Entries:
    """What of `present` is of something that `wanted` knows nothing of."""
    return Entries(
        {mac: host for mac, host in present.hosts.items() if mac not in wanted.hosts},
        {address: mac for address, mac in present.macs.items() if address not in wanted.macs},
    )
