"""What the cluster's hubs keep of networks across hosts: read by watching, hence known also without them."""

from __future__ import annotations

import asyncio
import collections
import ipaddress
import logging
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from shared.cluster import Place
from shared.contracts.base import Keys
from shared.contracts.migrator import MIGRATIONS, MigrationRecord
from shared.contracts.network import CLUSTER_ENDPOINTS, CLUSTER_SPECS, EndpointRecord, NetworkSpec
from shared.contracts.scheduler import HOST_LEASES, NODES
from shared.errors import InvalidArgument, ShoalError
from shared.state import State
from shared.state.view import Entry, View
from shared.tasks import TaskGroup

log = logging.getLogger(__name__)

WAIT = 2.0
"""Seconds for which the service's start waits for the hubs."""
PAUSE = 1.0
"""Seconds between questions to hubs that do not answer at the start."""
PATIENCE = 5.0
"""Seconds for which what needs the hubs waits for them: who has just joined, or lost a hub, hears of others soon."""


class ClusterRecords:
    """Networks, endpoints and hosts of the whole cluster, as last seen; nothing until `complete`."""

    def __init__(self, state: State, tasks: TaskGroup) -> None:
        self._state, self._tasks = state, tasks
        self._view: View | None = None
        self._heard = asyncio.Event()
        """Set while changes are heard of."""
        self._specs: dict[str, NetworkSpec] = {}
        self._endpoints: dict[str, dict[str, EndpointRecord]] = {}
        self._holders: dict[tuple[str, str], str] = {}
        self._held: collections.Counter[str] = collections.Counter()
        self._hosts: dict[str, str] = {}
        self._lost: set[str] = set()
        self._moved: dict[str, MigrationRecord] = {}
        """By container, moves that are decided."""
        self.on_network: Callable[[NetworkSpec | None, NetworkSpec | None], None] = lambda before, after: None
        """Told of each change of a network: as it was, and as it is."""
        self.on_endpoint: Callable[[EndpointRecord | None, EndpointRecord | None], None] = lambda before, after: None
        """Told of each change of an endpoint."""
        self.on_address: Callable[[str, str, bool], None] = lambda network_id, address, taken: None
        """Told that an address of a network was taken or given back."""
        self.on_moved: Callable[[str], None] = lambda network_id: None
        """Told of a network on which a container was, whose move was decided."""
        self.on_hosts: Callable[[], None] = lambda: None
        self.on_lost: Callable[[str, bool], None] = lambda node, lost: None
        """Told that a host was found lost, or is back."""
        self.on_complete: Callable[[], None] = lambda: None
        """Told once, when everything there is has been seen."""

    async def open(self) -> None:
        """Returns when all is seen, or after `WAIT` seconds: then it is seen when the hubs are there."""
        await asyncio.wait((self._tasks.start(self._watch(), "cluster"),), timeout=WAIT)

    @property
    def complete(self) -> bool:
        return self._view is not None

    async def live(self) -> bool:
        """Whether changes are heard of; where they are not, after waiting for it."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._heard.wait()
        except TimeoutError:
            return False
        return True

    def _live_changed(self) -> None:
        if self._view is not None and self._view.live:
            self._heard.set()
        else:
            self._heard.clear()

    async def reached(self, revision: int) -> None:
        """Returns when all changes up to this revision are seen."""
        if self._view is not None:
            await self._view.reached(revision)

    def own(self, record: EndpointRecord, address: str, revision: int) -> None:
        """A claim that this host has written is seen from now on."""
        if self._view is not None:
            self._view.own(CLUSTER_ENDPOINTS, (record.network_id, address), record, revision)

    async def catch_up(self) -> None:
        """Returns when all that was made until now is seen; what the hubs cannot tell is left as it is."""
        if self._view is None or not self._heard.is_set():
            return
        try:
            await self._view.reached(await self._state.latest(CLUSTER_SPECS))
        except ShoalError as error:
            log.warning("the hubs do not tell which networks there are: %s", error)

    async def _watch(self) -> None:
        while True:
            try:
                view = await self._state.view(CLUSTER_SPECS, CLUSTER_ENDPOINTS, NODES, HOST_LEASES, MIGRATIONS)
                break
            except ShoalError as error:
                log.warning("the cluster's networks are not known yet: %s", error)
                await asyncio.sleep(PAUSE)
        for keys in view.families:
            for parts, entry in view.items(keys):
                self._changed(keys, parts, entry)
        view.on_change(self._changed)
        view.on_live(self._live_changed)
        self._view = view
        self._live_changed()
        self.on_complete()

    def _changed(self, keys: Keys[Any], parts: tuple[str, ...], entry: Entry[Any] | None) -> None:
        if keys.pattern == CLUSTER_SPECS.pattern:
            self._network(parts[0], entry.value if entry is not None else None)
        elif keys.pattern == CLUSTER_ENDPOINTS.pattern:
            self._address(parts[0], parts[1], entry.value if entry is not None else None)
        elif keys.pattern == NODES.pattern:
            self._host(parts[0], entry.value.address if entry is not None else "")
        elif keys.pattern == MIGRATIONS.pattern:
            self._migration(parts[0], entry.value if entry is not None else None)
        else:
            self._lease(parts[0], lost=entry is not None and bool(entry.value.lost_by))

    def _lease(self, node: str, *, lost: bool) -> None:
        if lost is not self.is_lost(node):
            (self._lost.add if lost else self._lost.discard)(node)
            self.on_lost(node, lost)

    def _migration(self, container_id: str, record: MigrationRecord | None) -> None:
        if record is not None and record.phase == "switched":
            self._moved[container_id] = record
        elif self._moved.pop(container_id, None) is None:
            return
        for network_id in self.networks_in_use():
            if self.endpoint_of(network_id, container_id) is not None:
                self.on_moved(network_id)

    def _network(self, key: str, spec: NetworkSpec | None) -> None:
        before = next((known for known in self._specs.values() if str(known.vni) == key), None)
        if before is not None:
            del self._specs[before.id]
        if spec is not None:
            self._specs[spec.id] = spec
        if before != spec:
            self.on_network(before, spec)

    def _address(self, network_id: str, address: str, record: EndpointRecord | None) -> None:
        """An endpoint with two addresses has two records, and is there while it has one of them."""
        known = self._endpoints.setdefault(network_id, {})
        holder = self._holders.pop((network_id, address), "")
        if record is not None:
            self._holders[network_id, address] = record.id
            self._held[record.id] += 1
            before, known[record.id] = known.get(record.id), record
            if before != record:
                self.on_endpoint(before, record)
        if holder:
            self._held[holder] -= 1
            if not self._held[holder]:
                del self._held[holder]
                self.on_endpoint(known.pop(holder), None)
        if not known:
            del self._endpoints[network_id]
        self.on_address(network_id, address, record is not None)

    def _host(self, node: str, place: str) -> None:
        try:
            address = str(ipaddress.ip_address(Place.parse(place).host.strip("[]"))) if place else ""
        except (ValueError, InvalidArgument):
            log.warning("host %s is known as %s, not by an address: networks across hosts do not reach it", node, place)
            address = ""
        if self._hosts.get(node, "") == address and node in self._hosts:
            return
        if place:
            self._hosts[node] = address
        else:
            self._hosts.pop(node, None)
        self.on_hosts()

    def specs(self) -> list[NetworkSpec]:
        return list(self._specs.values())

    def spec(self, network_id: str) -> NetworkSpec | None:
        return self._specs.get(network_id)

    def revision(self, spec: NetworkSpec) -> int:
        """That of a network's record; 0: there is none."""
        entry = self._view.get(CLUSTER_SPECS, str(spec.vni)) if self._view is not None else None
        return entry.revision if entry is not None and entry.value.id == spec.id else 0

    def endpoints(self, network_id: str) -> list[EndpointRecord]:
        """Who is on a network, on whatever host."""
        return list(self._endpoints.get(network_id, {}).values())

    def placed(self, network_id: str) -> Iterator[EndpointRecord]:
        """The same, with the host where each is: of a container whose move was decided it is the target already."""
        for record in self.endpoints(network_id):
            moved = self._moved.get(record.container_id)
            at_source = moved is not None and moved.source == record.node
            yield msgspec.structs.replace(record, node=moved.target) if moved and at_source else record

    def claim(self, network_id: str, address: str) -> Entry[EndpointRecord] | None:
        """The record of an address, as last seen."""
        return self._view.get(CLUSTER_ENDPOINTS, network_id, address) if self._view is not None else None

    def endpoint_of(self, network_id: str, container_id: str) -> EndpointRecord | None:
        """That of a container on a network."""
        known = self._endpoints.get(network_id, {}).values()
        return next((record for record in known if record.container_id == container_id), None)

    def networks_in_use(self) -> list[str]:
        """Networks with an endpoint, also such as are no more."""
        return list(self._endpoints)

    def hosts(self) -> dict[str, str]:
        """The hosts of the cluster, with their addresses among hosts."""
        return {node: address for node, address in self._hosts.items() if address}

    def is_host(self, node: str) -> bool:
        return node in self._hosts

    def is_lost(self, node: str) -> bool:
        """Whether a host was silent for so long that its lease was given to others."""
        return node in self._lost

    def is_hub(self, node: str) -> bool:
        """Whether it is one of the hosts that keep what the cluster agrees on."""
        entry = self._view.get(NODES, node) if self._view is not None else None
        return entry is not None and entry.value.role == "hub"
