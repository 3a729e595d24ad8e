"""Names and addresses of a lab: pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.errors import InvalidArgument

MOST_HOSTS = 250
NOWHERE = "02:00:00:00:00:00"
"""An address of the link layer that no host has: frames to it are lost without a sign, as on a cut line."""


@dataclass(frozen=True)
class Plan:
    """One lab of `hosts` hosts, numbered from 1; all it leaves on disk is below `folder`."""

    folder: Path
    hosts: int

    @property
    def numbers(self) -> range:
        return range(1, self.hosts + 1)

    def check(self, number: int) -> int:
        """The number, if there is such a host."""
        if number not in self.numbers:
            raise InvalidArgument(f"the lab has hosts 1 to {self.hosts}; there is no host {number}")
        return number

    def home(self, number: int) -> Path:
        """A host's disk: what survives its death."""
        return self.folder / str(number)

    def cgroup(self, number: int) -> str:
        """The parent of a host's containers: the control groups are the machine's, and shared by all labs."""
        lab = hashlib.sha256(str(self.folder.absolute()).encode()).hexdigest()[:8]
        return f"shoal-{self.folder.name}-{lab}-{number}"

    def environment(self, number: int) -> Mapping[str, str]:
        """What programs on a host get: the engine's settings, and where Docker clients find it."""
        return {
            "SHOAL_STATE_DIR": str(self.home(number) / "state"),
            "SHOAL_RUN_DIR": "/run/shoal",
            "SHOAL_NODE_NAME": host_name(number),
            "SHOAL_CGROUP_PARENT": self.cgroup(number),
            "DOCKER_HOST": "unix:///run/shoal/docker.sock",
        }


def plan(folder: Path, hosts: int) -> Plan:
    """Raises `InvalidArgument` for a number of hosts that a lab cannot have."""
    if not 1 <= hosts <= MOST_HOSTS:
        raise InvalidArgument(f"a lab has 1 to {MOST_HOSTS} hosts, not {hosts}")
    return Plan(folder, hosts)


def host_name(number: int) -> str:
    """As the host calls itself."""
    return f"node{number}"


def address(number: int) -> str:
    """The host's address on the switch; all are in one /24 (RFC 2544's range for tests between devices)."""
    return f"198.18.0.{number}"


def mac(number: int) -> str:
    """Known beforehand, so that a line can be cut and mended by one entry."""
    return f"02:00:c6:12:00:{number:02x}"
