"""Host ports of a container: taken on this host, and agreed on with the others where every host publishes them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Protocol

from shared.contracts.network import EndpointRecord
from shared.errors import Conflict, ShoalError

from .adapters.host_ports import HostPorts
from .domain import sandboxes
from .domain.publishing import Forward, Wish
from .domain.sandboxes import SandboxRecord


class MeshPorts(Protocol):
    """The ports that all hosts publish."""

    def check(self, record: SandboxRecord) -> None:
        """Raises `Conflict` where another container of the cluster has one of those that it asks for."""

    def elsewhere(self, ports: Iterable[str], container_id: str) -> bool:
        """Whether another container of the cluster than this has one of these ports (`8080/tcp`)."""

    def outrun(self, record: SandboxRecord) -> bool:
        """Whether another container was quicker to claim a port chosen for this one, which has claimed it, too. Raises
        `Conflict` for one that it asked for by its number.
        """


class NoMesh:
    """Of a host that is in no cluster."""

    def check(self, record: SandboxRecord) -> None:
        return

    def elsewhere(self, ports: Iterable[str], container_id: str) -> bool:
        return False

    def outrun(self, record: SandboxRecord) -> bool:
        return False


class PortClaims:
    """Belongs to one event loop."""

    def __init__(self, ports: HostPorts) -> None:
        self._ports = ports
        self.mesh: MeshPorts = NoMesh()

    def reserve(
        self,
        record: SandboxRecord,
        wanted: Iterable[Wish],
        undo: contextlib.ExitStack,
        formers: Iterable[EndpointRecord] = (),
    ) -> list[Forward]:
        """Takes the host ports, which `undo` gives back. Raises with the endpoint's name, as dockerd does.

        Ports that are to be chosen are those of `formers`, the container's endpoints until now, where they are free.
        """
        taken: list[Forward] = []
        undo.callback(self._ports.release, taken)
        for wish in wanted:
            try:
                taken += self._again(record, wish, formers) or self._ports.reserve(wish)
            except ShoalError as error:
                raise type(error)(sandboxes.unpublished(record, error.message)) from None
        return taken

    def _again(self, record: SandboxRecord, wish: Wish, formers: Iterable[EndpointRecord]) -> list[Forward]:
        for same in sandboxes.former_ports(formers, wish):
            if self.mesh.elsewhere([f"{same.first}/{same.protocol}"], record.sandbox.container_id):
                continue
            with contextlib.suppress(Conflict):
                return self._ports.reserve(same)
        return []
