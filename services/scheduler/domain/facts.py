"""What is decided about: hosts, and what a container asks of one."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from shared.contracts.scheduler import NodeRecord

from .constraints import Constraint, attributes


@dataclass(frozen=True, slots=True)
class Host:
    """A host as seen last: `memory` (bytes) and `cpus` (billionths of one) may be reserved. `is_open`: it is there
    and takes new containers. `attributes` are what constraints are about.
    """

    id: str
    memory: int
    cpus: int
    os: str = "linux"
    architectures: frozenset[str] = frozenset(("amd64",))
    is_open: bool = True
    attributes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, record: NodeRecord, ready: bool) -> Host:
        """From its record; `ready`: it is heard of."""
        return cls(
            id=record.id,
            memory=record.memory,
            cpus=record.cpus,
            os=record.os,
            architectures=frozenset((record.architecture, *record.emulated)),
            is_open=ready and record.availability == "active",
            attributes=attributes(record),
        )


@dataclass(frozen=True, slots=True)
class Load:
    """What one container reserves of its host: bytes, billionths of a processor, ports of the host."""

    memory: int = 0
    cpus: int = 0
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bond:
    """Something on certain hosts that the container needs, or, `apart`, must not be beside. `text` names it."""

    hosts: frozenset[str]
    text: str
    apart: bool = False

    def allows(self, host: str) -> bool:
        return (host in self.hosts) is not self.apart


@dataclass(frozen=True, slots=True)
class Ask:
    """One container to place. `architecture` empty: any; `image`: hosts that have its image: among equals they win."""

    load: Load = Load()
    os: str = "linux"
    architecture: str = ""
    constraints: tuple[Constraint, ...] = ()
    bonds: tuple[Bond, ...] = ()
    image: Set[str] = frozenset()
