"""The routing mesh on this host: follows what the cluster's records say."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path

from shared.contracts.network import EndpointRecord
from shared.errors import Conflict, ShoalError
from shared.tasks import TaskGroup

from .adapters import mesh_link
from .adapters.firewall import Firewall
from .adapters.mesh_link import MeshLink
from .cluster_records import ClusterRecords
from .domain import mesh, sandboxes
from .domain.mesh import Mesh
from .domain.sandboxes import SandboxRecord

log = logging.getLogger(__name__)

RETRY = 1.0
"""Seconds until what failed is tried again."""


class Meshing:
    """Belongs to one event loop. `file` keeps which number each host has: connections are marked with it.

    `mtu`: that of packets between hosts; `way_out`: the interface by which containers answer, if there is one.
    """

    def __init__(
        self,
        node: str,
        name: str,
        link: MeshLink,
        firewall: Firewall,
        records: ClusterRecords,
        tasks: TaskGroup,
        file: Path,
        mtu: Callable[[], int],
        way_out: Callable[[], str],
    ) -> None:
        self._node, self._name, self._link, self._firewall = node, name, link, firewall
        self._records, self._tasks, self._file = records, tasks, file
        self._mtu, self._way_out = mtu, way_out
        self._numbers: dict[str, int] = {}
        self._ports: set[tuple[str, int]] = set()
        self._seen = Mesh()
        self._running = self._again = self._ready = False

    def start(self) -> None:
        """From now on what is seen of the cluster is done. The rules of the host are there already."""
        try:
            self._numbers = json.loads(self._file.read_bytes())
        except (FileNotFoundError, ValueError):
            self._numbers = {}
        self._ready = True
        self.changed()

    def close(self) -> None:
        """What is set up stays."""
        self._ready = False
        self._link.close()

    def check(self, record: SandboxRecord) -> None:
        """Raises `Conflict` where another container of the cluster has one of its ports."""
        wanted = [port for entry in record.attachments for port in sandboxes.meshed(record, entry)]
        found = mesh.taken(wanted, record.sandbox.container_id, self._all())
        if found is not None:
            name, other = found
            text = f"Bind for 0.0.0.0:{name.partition('/')[0]} failed: port is already allocated"
            why = f"{text} in the cluster, by container {other.container_name}"
            raise Conflict(sandboxes.unpublished(record, why))

    def changed(self) -> None:
        """Something of the cluster changed."""
        self._again = True
        if self._ready and not self._running and self._records.complete:
            self._running = True
            self._tasks.start(self._follow(), "mesh")

    def _all(self) -> list[EndpointRecord]:
        networks = self._records.networks_in_use()
        return [record for network in networks for record in self._records.endpoints(network)]

    async def _follow(self) -> None:
        try:
            while self._again:
                self._again = False
                hosts = self._records.hosts()
                wanted = mesh.plan(self._all(), self._node, hosts, self._numbers)
                if wanted.ports and (missing := len(hosts.keys() - {self._node}) - len(wanted.peers)):
                    most = mesh.MOST_HOSTS + 1
                    log.error("the routing mesh joins at most %d hosts: %d take no part in it", most, missing)
                try:
                    await asyncio.to_thread(self._apply, wanted)
                except (OSError, ShoalError) as error:
                    log.warning("ports of other hosts' containers are not all published here: %s", error)
                    self._again = True
                    await asyncio.sleep(RETRY)
        finally:
            self._running = False

    def _apply(self, wanted: Mesh) -> None:
        """Runs in a thread. New ways are there before the rules that lead to them."""
        self._number(wanted)
        open_here = {port for port in wanted.ports if self._is_open(port, wanted)}
        self._link.apply(wanted, self._mtu())
        if any(target.peer is None for target in wanted.targets.values()) and (way_out := self._way_out()):
            mesh_link.loosen(way_out)
        self._firewall.mesh(mesh.elements(wanted, self._name, open_here))
        self._firewall.meet(mesh.come(self._seen, wanted))
        self._ports, self._seen = open_here, wanted

    def _number(self, wanted: Mesh) -> None:
        numbers = {node: peer.number for node, peer in wanted.peers.items()}
        if numbers and numbers != self._numbers:
            self._numbers = numbers
            self._file.write_text(json.dumps(numbers))

    def _is_open(self, port: tuple[str, int], wanted: Mesh) -> bool:
        """At the container's own host it is published anyway."""
        if port in self._ports or wanted.ports[port].node == self._node:
            return True
        if mesh_link.port_free(*port):
            return True
        log.warning("port %s/%s is taken on this host: the cluster's is not published here", port[1], port[0])
        return False
