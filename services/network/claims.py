"""Addresses on networks across hosts: claimed at the hubs, one record each, which also tells all hosts who is where."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from shared.contracts.network import CLUSTER_ENDPOINTS, EndpointRecord
from shared.contracts.scheduler import NODES
from shared.errors import (
    AlreadyExists,
    Conflict,
    DeadlineExceeded,
    NotFound,
    ResourceExhausted,
    ShoalError,
    Unavailable,
)
from shared.state import State
from shared.state.view import Entry
from shared.tasks import TaskGroup

from .cluster_records import ClusterRecords
from .domain import peers

log = logging.getLogger(__name__)

_PASSING = (Unavailable, DeadlineExceeded, ResourceExhausted)
"""Hubs that are away, or full."""
CUT_OFF = "this host is cut off from its cluster"


class Taken(Conflict):
    """Somebody else has the address."""

    address = ""


class Claims:
    """This host's addresses. Taking one needs the cluster; what is given back or changes is told it later."""

    def __init__(self, state: State, node: str, tasks: TaskGroup, records: ClusterRecords, pause: float = 1.0) -> None:
        self._state, self._node, self._tasks, self._records = state, node, tasks, records
        self._pause = pause
        self._mine: dict[str, EndpointRecord] = {}
        self._wanted: dict[tuple[str, str], EndpointRecord | None] = {}
        self._retracting: set[tuple[str, str]] = set()
        self._doubtful: set[tuple[str, str]] = set()
        self._running = False
        self._writing: asyncio.Task[None] | None = None

    def kept(self, record: EndpointRecord) -> bool:
        """Whether its addresses, which were given back, are this host's still, since the hubs could not be told yet."""
        places = {(record.network_id, str(address)) for address in peers.addresses(record)}
        return record.node == self._node and bool(places) and places <= self._retracting - self._doubtful

    async def claim(self, record: EndpointRecord) -> None:
        """The endpoint has its addresses. Raises `Taken`, `NotFound` where the network is being removed, and
        `Unavailable` where the cluster has to agree and cannot. All or nothing. What is `kept` need not be agreed on.
        """
        if self.kept(record):
            self.tell(record)
            return
        self._mine[record.id] = record
        try:
            for address in peers.addresses(record):
                revision = await self._take(record, str(address))
                await self._records.reached(revision)
            spec = self._records.spec(record.network_id)
            if spec is None or spec.removing:
                raise NotFound(f"network {spec.name if spec else record.network_id} not found")
        except (Unavailable, DeadlineExceeded):
            self.retract(record)
            raise Unavailable(f"{CUT_OFF}: nobody knows which addresses are free") from None
        except ShoalError:
            self.retract(record)
            raise

    async def _take(self, record: EndpointRecord, address: str) -> int:
        place = (record.network_id, address)
        self._wanted.pop(place, None)
        self._retracting.discard(place)
        while True:
            try:
                return await self._state.create(CLUSTER_ENDPOINTS, *place, value=record)
            except AlreadyExists:
                entry = await self._state.get(CLUSTER_ENDPOINTS, *place)
            if entry is None:
                continue
            if entry.value == record:
                return entry.revision
            here, same = entry.value.node == self._node, entry.value.container_id == record.container_id
            if not (same or here) or (here and entry.value.id in self._mine and entry.value.id != record.id):
                await self._records.reached(entry.revision)
                taken = Taken(f"{address} has been taken")
                taken.address = address
                raise taken
            try:  # a crash of this host left it, or the container was on another
                return await self._state.update(CLUSTER_ENDPOINTS, *place, value=record, revision=entry.revision)
            except Conflict:
                continue

    async def move(self, record: EndpointRecord) -> None:
        """The endpoint, which was another host's, is here now. Raises `Taken` where it is no endpoint of the container,
        and `Unavailable` where the cluster cannot be told: what was done stays, and may be done again.
        """
        self._mine[record.id] = record
        addresses = [str(ip) for ip in peers.addresses(record)]
        try:
            revisions = await asyncio.gather(*(self._move(record, address) for address in addresses))
        except DeadlineExceeded:
            raise Unavailable(f"{CUT_OFF}: it cannot be told that {record.container_name} has moved") from None
        for address, revision in zip(addresses, revisions, strict=True):  # it stands still until the hubs have told us
            self._records.own(record, address, revision)

    async def _move(self, record: EndpointRecord, address: str) -> int:
        place = (record.network_id, address)
        entry = self._records.claim(*place)  # as seen: asking would take a round trip while the container stands still
        if entry is not None and entry.value.id == record.id:
            try:
                return await self._state.update(CLUSTER_ENDPOINTS, *place, value=record, revision=entry.revision)
            except Conflict:
                log.info("%s was changed meanwhile", address)
        return await self._take(record, address)

    def forget(self, record: EndpointRecord) -> None:
        """The endpoint is another host's: nothing is told of it any more."""
        self._mine.pop(record.id, None)
        for address in peers.addresses(record):
            self._wanted.pop((record.network_id, str(address)), None)

    def tell(self, record: EndpointRecord) -> None:
        """The endpoint is here, and like this."""
        self._mine[record.id] = record
        for address in peers.addresses(record):
            self._want(record.network_id, str(address), record)

    def retract(self, record: EndpointRecord) -> None:
        """The endpoint is gone from this host: its addresses are free, unless it is another's by now."""
        self._mine.pop(record.id, None)
        for address in peers.addresses(record):
            self._want(record.network_id, str(address), None)

    async def settled(self, timeout: float) -> None:
        """Returns when the hubs have all that was told, or after `timeout` seconds."""
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=timeout)

    def sweep(self) -> None:
        """Gives back what a crash of this host left."""
        for network_id in self._records.networks_in_use():
            for record in self._records.endpoints(network_id):
                if record.node == self._node and record.id not in self._mine:
                    log.info("giving back what a crash left: %s on %s", record.container_name, network_id)
                    self.retract(record)

    async def reclaim(self, records: Iterable[EndpointRecord]) -> None:
        """Frees addresses of hosts that are no more; waits for the hubs."""
        for record in records:
            for address in map(str, peers.addresses(record)):
                while not await self._freed(record, address):  # noqa: ASYNC110 - hubs that are away tell nobody
                    await asyncio.sleep(self._pause)

    async def _freed(self, record: EndpointRecord, address: str) -> bool:
        try:
            if await self._state.get(NODES, record.node) is not None:
                return True  # a hub that is behind does not show it yet
            entry = await self._state.get(CLUSTER_ENDPOINTS, record.network_id, address)
            if entry is not None and entry.value.node == record.node:
                await self._delete(record.network_id, address, entry)
        except _PASSING:
            return False
        return True

    def _want(self, network_id: str, address: str, record: EndpointRecord | None) -> None:
        self._wanted[network_id, address] = record
        (self._retracting.add if record is None else self._retracting.discard)((network_id, address))
        if not self._running:
            self._running = True
            self._writing = self._tasks.start(self._write_all(), "claims")

    async def _write_all(self) -> None:
        """Until the hubs have all of it: it begins again while they are away."""
        try:
            while self._wanted:
                round_, self._wanted = self._wanted, {}
                done = await asyncio.gather(*(self._write(*place, record) for place, record in round_.items()))
                if not all(done):
                    await asyncio.sleep(self._pause)
        finally:
            self._running = False

    async def _write(self, network_id: str, address: str, record: EndpointRecord | None) -> bool:
        try:
            await self._put(network_id, address, record)
        except (*_PASSING, Conflict, AlreadyExists):
            self._wanted.setdefault((network_id, address), record)
            return False
        except ShoalError as error:  # all others must be told all the same
            log.error("%s on network %s is not told to the hubs: %s", address, network_id, error)
        if record is None and self._wanted.get((network_id, address)) is None:
            self._retracting.discard((network_id, address))
        return True

    async def _put(self, network_id: str, address: str, record: EndpointRecord | None) -> None:
        entry = await self._state.get(CLUSTER_ENDPOINTS, network_id, address)
        if record is None and (network_id, address) not in self._retracting:
            return  # an endpoint here has it again meanwhile: other hosts need not lose sight of it
        if entry is not None and (entry.value.node != self._node or self._other(entry.value, record)):
            if record is not None:
                log.error("%s on network %s is another's: %s", address, network_id, entry.value.container_name)
        elif record is None:
            if entry is not None:
                self._doubtful.add((network_id, address))  # also where the answer does not come
                await self._delete(network_id, address, entry)
            self._doubtful.discard((network_id, address))
        elif entry is None:
            await self._state.create(CLUSTER_ENDPOINTS, network_id, address, value=record)
        elif entry.value != record:
            await self._state.update(CLUSTER_ENDPOINTS, network_id, address, value=record, revision=entry.revision)

    def _other(self, found: EndpointRecord, record: EndpointRecord | None) -> bool:
        """Whether an address of this host has gone to another of its endpoints."""
        return found.id in self._mine if record is None else found.id != record.id and found.id in self._mine

    async def _delete(self, network_id: str, address: str, entry: Entry[EndpointRecord]) -> None:
        try:
            await self._state.delete(CLUSTER_ENDPOINTS, network_id, address, revision=entry.revision)
        except Conflict:
            log.info("%s on network %s was given back and taken again meanwhile", address, network_id)
