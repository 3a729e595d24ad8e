"""Names of containers on user-defined networks."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator

from shared.contracts.network import EndpointRecord

from . import peers
from .addresses import Address
from .endpoints import Attachment
from .networks import PREDEFINED
from .sandboxes import SandboxRecord


def named(record: SandboxRecord) -> list[Attachment]:
    """The endpoints of a sandbox that others find by name, and through which it finds others.

    In the order in which it looks: those with its default routes first, then by name.
    """
    found = [entry for entry in record.wired if entry.network_name not in PREDEFINED and not entry.way_out]
    ways = (record.gateway, record.gateway6)
    return sorted(found, key=lambda entry: (entry.endpoint_id not in ways, entry.network_name))


def needs_dns(network_names: Iterable[str]) -> bool:
    """Whether a stack on these networks has the embedded DNS."""
    return any(name not in PREDEFINED for name in network_names)


class Directory:
    """Who has which name on which network, and which name an address has. Names are compared in lower case."""

    def __init__(self) -> None:
        self._addresses: dict[tuple[str, str], list[tuple[Address, ...]]] = collections.defaultdict(list)
        self._names: dict[tuple[str, Address], str] = {}
        self._turn = 0

    def add(self, record: SandboxRecord) -> None:
        """Makes a sandbox's names known."""
        for attachment in named(record):
            self._add(attachment.network_id, _names(record, attachment), attachment.ips)

    def add_peer(self, record: EndpointRecord) -> None:
        """Makes the names of an endpoint on another host known."""
        self._add(record.network_id, _lower(record.dns_names), peers.addresses(record))

    def _add(self, network_id: str, names: list[str], ips: tuple[Address, ...]) -> None:
        for name in names:
            self._addresses[network_id, name].append(ips)
        for address in ips if names else ():
            self._names[network_id, address] = names[0]

    def remove(self, record: SandboxRecord) -> None:
        """Forgets a sandbox's names."""
        for attachment in named(record):
            self._remove(attachment.network_id, _names(record, attachment), attachment.ips)

    def remove_peer(self, record: EndpointRecord) -> None:
        """Forgets those of an endpoint on another host."""
        self._remove(record.network_id, _lower(record.dns_names), peers.addresses(record))

    def _remove(self, network_id: str, names: list[str], ips: tuple[Address, ...]) -> None:
        for name in names:
            key = (network_id, name)
            if ips in self._addresses.get(key, ()):
                self._addresses[key].remove(ips)
            if not self._addresses.get(key):
                self._addresses.pop(key, None)
        for address in ips:
            if names and self._names.get((network_id, address)) == names[0]:
                del self._names[network_id, address]

    def find(self, asker: SandboxRecord, name: str) -> list[Address] | None:
        """Addresses of a name on the first of the asker's networks that has it; each time another comes first.

        `name.network` is looked for as well, and the asker's own aliases for others (`--link`). None: unknown.
        """
        for wanted, network in _readings(name):
            for attachment in named(asker):
                if network in ("", attachment.network_name.lower()):
                    known = self._addresses.get((attachment.network_id, _meant(asker, attachment, wanted)))
                    if known:
                        return self._in_turn(known)
        return None

    def _in_turn(self, known: list[tuple[Address, ...]]) -> list[Address]:
        self._turn += 1
        first = self._turn % len(known)
        return [address for addresses in known[first:] + known[:first] for address in addresses]

    def name_of(self, asker: SandboxRecord, address: Address) -> str:
        """What is at an address of the asker's networks; empty for nothing known."""
        for entry in named(asker):
            name = self._names.get((entry.network_id, address))
            if name:
                return f"{name}.{entry.network_name}"
        return ""


def _readings(name: str) -> Iterator[tuple[str, str]]:
    """A name as a whole, then cut at each of its dots into name and network: both may have dots."""
    yield name, ""
    at = name.rfind(".")
    while at > 0:
        yield name[:at], name[at + 1 :]
        at = name.rfind(".", 0, at)


def _meant(asker: SandboxRecord, attachment: Attachment, name: str) -> str:
    """The container's name that the asker's own alias stands for."""
    shown = asker.sandbox.endpoints.get(attachment.network_name)
    for link in (shown.links or ()) if shown else ():
        target, _, alias = link.partition(":")
        if (alias or target).lower() == name:
            return target.lower()
    return name


def _names(record: SandboxRecord, attachment: Attachment) -> list[str]:
    shown = record.sandbox.endpoints.get(attachment.network_name)
    return _lower(shown.dns_names or () if shown else ())


def _lower(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name.lower() for name in names))
