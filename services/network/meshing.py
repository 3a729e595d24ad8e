"""The routing mesh on this host: follows what the cluster's records say."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from shared.contracts.network import EndpointRecord
from shared.errors import Conflict, ShoalError
from shared.tasks import TaskGroup

from .adapters import mesh_link
from .adapters.firewall import Firewall
from .adapters.mesh_link import MeshLink
from .cluster_records import ClusterRecords
from .domain import mesh, peers, sandboxes
from .domain.addresses import Address
from .domain.mesh import Mesh
from .domain.sandboxes import SandboxRecord

log = logging.getLogger(__name__)

RETRY = 1.0
"""Seconds until what failed is tried again."""
LOOK_AGAIN = 30.0
"""Seconds until a port is tried again that something else on this host has: nobody tells when it is free."""


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
        """Those at which this host takes clients."""
        self._holds: dict[tuple[str, int], socket.socket | None] = {}
        """Those that are held, so that no program is given one that leads elsewhere."""
        self._refused: set[tuple[str, int]] = set()
        self._later: asyncio.TimerHandle | None = None
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
        if self._later is not None:
            self._later.cancel()
        for port in list(self._holds):
            self.give_way(*port)
        self._link.close()

    def check(self, record: SandboxRecord) -> None:
        """Raises `Conflict` where another container of the cluster has one of the ports that it asks for."""
        self._check(record, self._all())

    def outrun(self, record: SandboxRecord) -> bool:
        """Whether another container claimed one of its ports before it did, as it just has: what is claimed before is
        seen by now. Raises `Conflict` for a port that it asks for by its number.
        """
        mine = self._since((entry.network_id, address) for entry in record.attachments for address in entry.ips)
        before = [other for other in self._all() if self._since_of(other) < mine]
        self._check(record, before)
        return mesh.taken(sandboxes.chosen_meshed(record), record.sandbox.container_id, before) is not None

    def _since_of(self, record: EndpointRecord) -> int:
        return self._since((record.network_id, address) for address in peers.addresses(record))

    def _since(self, places: Iterable[tuple[str, Address]]) -> int:
        """The revision of the first of an endpoint's claims."""
        claims = (self._records.claim(network, str(address)) for network, address in places)
        return min((claim.revision for claim in claims if claim is not None), default=0)

    def _check(self, record: SandboxRecord, others: list[EndpointRecord]) -> None:
        found = mesh.taken(sandboxes.asked_meshed(record), record.sandbox.container_id, others)
        if found is not None:
            name, other = found
            text = f"Bind for 0.0.0.0:{name.partition('/')[0]} failed: port is already allocated"
            why = f"{text} in the cluster, by container {other.container_name}"
            raise Conflict(sandboxes.unpublished(record, why))

    def elsewhere(self, ports: Iterable[str], container_id: str) -> bool:
        """Whether another container of the cluster has one of these ports (`8080/tcp`)."""
        ports = list(ports)
        return bool(ports) and mesh.taken(ports, container_id, self._all()) is not None

    def give_way(self, protocol: str, port: int) -> bool:
        """A container of this host takes the port, which was held here; clients are led as before."""
        if (protocol, port) not in self._holds:
            return False
        held = self._holds.pop((protocol, port))
        if held is not None:
            held.close()
        return True

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
                open_here = self._take(wanted)
                try:
                    await asyncio.to_thread(self._apply, wanted, open_here)
                except (OSError, ShoalError) as error:
                    log.warning("ports of other hosts' containers are not all published here: %s", error)
                    self._again = True
                    await asyncio.sleep(RETRY)
        finally:
            self._running = False

    def _take(self, wanted: Mesh) -> set[tuple[str, int]]:
        """The ports at which this host takes clients from now on: those that nothing else here has, and its own."""
        for port in self._holds.keys() - wanted.ports.keys():
            self.give_way(*port)
        away = {port for port, record in wanted.ports.items() if record.node != self._node}
        lacking = {port for port in away if not self._hold(port)}
        refused = lacking - self._ports
        for protocol, number in refused - self._refused:
            log.warning("port %s/%s is taken on this host: the cluster's is not published here", number, protocol)
        self._refused = refused
        if self._later is not None:
            self._later.cancel()
        self._later = asyncio.get_running_loop().call_later(LOOK_AGAIN, self.changed) if lacking else None
        return wanted.ports.keys() - refused

    def _hold(self, port: tuple[str, int]) -> bool:
        if port not in self._holds:
            try:
                self._holds[port] = mesh_link.hold(*port)
            except OSError:
                return False
        return True

    def _apply(self, wanted: Mesh, open_here: set[tuple[str, int]]) -> None:
        """Runs in a thread. New ways are there before the rules that lead to them."""
        self._number(wanted)
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
