"""Names of containers on user-defined networks."""

from __future__ import annotations

import collections
import ipaddress
from collections.abc import Iterable

from .networks import PREDEFINED
from .sandboxes import Attachment, SandboxRecord

Address4 = ipaddress.IPv4Address


def named(record: SandboxRecord) -> list[Attachment]:
    """The endpoints of a sandbox that others find by name, and through which it finds others."""
    return [attachment for attachment in record.wired if attachment.network_name not in PREDEFINED]


def needs_dns(network_names: Iterable[str]) -> bool:
    """Whether a stack on these networks has the embedded DNS."""
    return any(name not in PREDEFINED for name in network_names)


class Directory:
    """Who has which name on which network, and which name an address has. Names are compared in lower case."""

    def __init__(self) -> None:
        self._addresses: dict[tuple[str, str], list[Address4]] = collections.defaultdict(list)
        self._names: dict[tuple[str, Address4], str] = {}
        self._turn = 0

    def add(self, record: SandboxRecord) -> None:
        """Makes a sandbox's names known."""
        for attachment in named(record):
            names = _names(record, attachment)
            for name in names:
                self._addresses[attachment.network_id, name].append(attachment.ip)
            if names:
                self._names[attachment.network_id, attachment.ip] = f"{names[0]}.{attachment.network_name}"

    def remove(self, record: SandboxRecord) -> None:
        """Forgets a sandbox's names."""
        for attachment in named(record):
            for name in _names(record, attachment):
                key = (attachment.network_id, name)
                if attachment.ip in self._addresses.get(key, ()):
                    self._addresses[key].remove(attachment.ip)
                if not self._addresses.get(key):
                    self._addresses.pop(key, None)
            self._names.pop((attachment.network_id, attachment.ip), None)

    def find(self, asker: SandboxRecord, name: str) -> list[Address4]:
        """Addresses of a name, or of `name.network`, on the asker's networks; each time another comes first."""
        found: list[Address4] = []
        for attachment in named(asker):
            short = name.removesuffix(f".{attachment.network_name.lower()}")
            for each in dict.fromkeys((name, short)):
                found += self._addresses.get((attachment.network_id, each), [])
        if len(found) < 2:
            return found
        self._turn += 1
        first = self._turn % len(found)
        return found[first:] + found[:first]

    def name_of(self, asker: SandboxRecord, address: Address4) -> str:
        """What is at an address of the asker's networks; empty for nothing known."""
        names: Iterable[str] = (self._names.get((entry.network_id, address), "") for entry in named(asker))
        return next((name for name in names if name), "")


def _names(record: SandboxRecord, attachment: Attachment) -> list[str]:
    shown = record.sandbox.endpoints.get(attachment.network_name)
    return list(dict.fromkeys(name.lower() for name in (shown.dns_names or () if shown else ())))
