"""Ports of a container that has been on another host."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from services.network.domain.publishing import ANY4, Forward, Place, Wish
from services.network.domain.sandboxes import SandboxRecord
from services.network.port_claims import NoMesh, PortClaims
from shared.contracts.network import EndpointRecord, Sandbox
from shared.errors import Conflict

TARGET = ipaddress.ip_address("10.0.1.2")
RECORD = SandboxRecord(sandbox=Sandbox(container_id="c", sandbox_id="s"), container_name="web")
FORMER = EndpointRecord(
    id="e", network_id="n", container_id="c", container_name="web", node="n2", meshed={"40005/tcp": 80}
)
WISH = Wish("tcp", 80, (Place(ANY4, TARGET),))


class Ports:
    """A host's, of which one may be taken; a free one is 40000."""

    def __init__(self, taken: int = 0) -> None:
        self.taken, self.held = taken, set[int]()

    def reserve(self, wish: Wish) -> list[Forward]:
        if wish.first == self.taken != 0:
            raise Conflict("taken")
        self.held.add(wish.first or 40000)
        return [Forward("tcp", ANY4, wish.first or 40000, TARGET, wish.port)]

    def release(self, forwards: Iterable[Forward]) -> None:
        self.held -= {each.host_port for each in forwards}


def reserved(ports: Any, former: EndpointRecord | None = FORMER, *, elsewhere: bool = False) -> set[int]:
    class Mesh(NoMesh):
        def elsewhere(self, ports: Iterable[str], container_id: str) -> bool:
            return elsewhere and list(ports) == ["40005/tcp"] and container_id == "c"

    claims = PortClaims(ports)
    claims.mesh = Mesh()
    with ExitStack() as undo:
        found = claims.reserve(RECORD, [WISH], undo, [former] if former else [])
        held: set[int] = set(ports.held)
    assert not ports.held, "given back"
    assert {each.host_port for each in found} == held
    return held


def test_a_container_keeps_a_port_that_was_chosen_where_it_was() -> None:
    assert reserved(Ports()) == {40005}
    assert reserved(Ports(), None) == {40000}


def test_another_is_chosen_where_it_is_taken_here_or_in_the_cluster() -> None:
    assert reserved(Ports(taken=40005)) == {40000}
    assert reserved(Ports(), elsewhere=True) == {40000}
