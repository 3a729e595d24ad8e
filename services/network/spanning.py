"""Networks across hosts: what this host has of them, and what it agrees on with the others."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import ipaddress
import logging
from collections.abc import Callable, Iterator

from shared.cluster import Membership, Place
from shared.contracts.network import CLUSTER_SPECS, EndpointRecord, NetworkSpec
from shared.contracts.network_driver import JoinRequest, LeaveRequest, PeersRequest
from shared.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    NotFound,
    PermissionDenied,
    ShoalError,
    Unavailable,
)
from shared.state import State
from shared.tasks import TaskGroup

from .adapters.firewall import Firewall
from .adapters.host_files import SpecFiles
from .adapters.links import HostLinks
from .claims import CUT_OFF, Claims
from .cluster_records import ClusterRecords
from .domain import drivers, naming, peers, spanning, subnets
from .domain.addresses import Address, AddressSpace
from .domain.ruleset import BridgeRules
from .uplinks import Uplinks

log = logging.getLogger(__name__)

RETRY = 1.0
"""Seconds until a driver that failed is told again who is where."""


def host_address(membership: Membership) -> Address:
    """This host's address among the hosts."""
    return ipaddress.ip_address(Place.parse(membership.address).host.strip("[]"))


class Spanning:
    """The bridge of such a network is on a host while a container there is on it."""

    def __init__(
        self,
        membership: Membership,
        node: str,
        prefix: str,
        state: State,
        tasks: TaskGroup,
        links: HostLinks,
        firewall: Firewall,
        uplinks: Uplinks,
        files: SpecFiles,
    ) -> None:
        self._node, self._prefix, self._state, self._tasks = node, prefix, state, tasks
        self._links, self._firewall, self.uplinks, self._files = links, firewall, uplinks, files
        self._membership = membership
        self.records = ClusterRecords(state, tasks)
        self.claims = Claims(state, node, tasks, self.records)
        self._leaving, self._here = TaskGroup("leave"), dict[str, NetworkSpec]()
        self._spaces: dict[str, AddressSpace] = {}
        self._dirty: set[str] = set()
        self._telling = self._resumed = False
        self._locks: collections.defaultdict[str, asyncio.Lock] = collections.defaultdict(asyncio.Lock)
        self.changed: Callable[[], None] = lambda: None
        """Called after each change of a network, or of who is on it."""
        self.on_peer: Callable[[EndpointRecord | None, EndpointRecord | None], None] = lambda before, after: None
        """Told of each change of an endpoint on another host; those of a lost one are as if they were gone."""
        self.busy: Callable[[str], bool] = lambda network_id: False
        """Whether containers of this host are on a network, or about to be."""

    @property
    def host(self) -> Address:
        """This host's address among the hosts."""
        return host_address(self._membership)

    @property
    def cluster(self) -> str:
        return self._membership.cluster

    async def open(self) -> None:
        """What is on this host is known from now on, and what others have, if the hubs answer soon."""
        self._here = {spec.id: spec for spec in self._files.load()}
        self.records.on_network = self._network
        self.records.on_endpoint = self._endpoint
        self.records.on_address = self._address
        self.records.on_moved = self._soon
        self.records.on_hosts = self._hosts
        self.records.on_lost = self._lost
        self.records.on_complete = self._complete
        await self.records.open()
        for spec in self._here.values():
            self._space(spec)

    def resume(self) -> None:
        """Containers that were found have told what they have: what else is there is of a crash."""
        self._resumed = True
        self.uplinks.on_restart(self._restarted)
        if self.records.complete:
            self._complete()

    def _complete(self) -> None:
        if not self._resumed:
            return
        self.claims.sweep()
        self._hosts()
        self.changed()

    def specs(self) -> list[NetworkSpec]:
        """Those of the cluster, and those that this host alone remembers."""
        known = self.records.specs()
        ids = {spec.id for spec in known}
        return [*known, *(spec for spec in self._here.values() if spec.id not in ids)]

    def here(self) -> list[NetworkSpec]:
        """Those that this host has a bridge for."""
        return list(self._here.values())

    def space(self, network_id: str) -> AddressSpace | None:
        """Its addresses: used are all that some host of the cluster has."""
        return self._spaces.get(network_id)

    def _space(self, spec: NetworkSpec) -> None:
        if spec.id not in self._spaces:
            space = self._spaces[spec.id] = subnets.address_space(spec)
            for record in self.records.endpoints(spec.id):
                space.reserve(peers.addresses(record))

    def release(self, network_id: str, record_ips: tuple[Address, ...]) -> None:
        """Addresses that were chosen, but perhaps not claimed, may be chosen again."""
        space = self._spaces.get(network_id)
        if space is not None:
            used = {ip for record in self.records.endpoints(network_id) for ip in peers.addresses(record)}
            space.release(ip for ip in record_ips if ip not in used)

    async def create(self, plan: Callable[[int], NetworkSpec]) -> tuple[NetworkSpec, int]:
        """Makes a network of what `plan` says for a number that is free; the first of two that collide counts."""
        if not await self.records.live():
            raise Unavailable(f"{CUT_OFF}: nobody knows which networks there are")
        while True:
            spec = plan(spanning.free_number(known.vni for known in self.records.specs()))
            try:
                revision = await self._state.create(CLUSTER_SPECS, str(spec.vni), value=spec)
            except AlreadyExists:
                await self._seen(spec.vni)
                continue
            except (Unavailable, DeadlineExceeded):
                self._tasks.start(self._withdraw(spec), "withdraw")
                raise Unavailable(f"{CUT_OFF}: nobody knows which networks there are") from None
            await self.records.reached(revision)
            if not any(
                self.records.revision(other) < revision and spanning.collide(spec, other)
                for other in self.records.specs()
                if other.id != spec.id
            ):
                return spec, revision
            await self._withdraw(spec)

    async def _seen(self, vni: int) -> None:
        entry = await self._state.get(CLUSTER_SPECS, str(vni))
        if entry is not None:
            await self.records.reached(entry.revision)

    async def _withdraw(self, spec: NetworkSpec) -> None:
        """A network that was not to be, or of which nobody knows whether it was made."""
        while True:
            try:
                entry = await self._state.get(CLUSTER_SPECS, str(spec.vni))
                if entry is not None and entry.value.id == spec.id:
                    revision = await self._state.delete(CLUSTER_SPECS, str(spec.vni), revision=entry.revision)
                    await self.records.reached(revision)
                return
            except ShoalError as error:
                log.warning("network %s is not taken back yet: %s", spec.name, error)
                await asyncio.sleep(RETRY)

    async def remove(self, spec: NetworkSpec) -> int:
        """Takes a network away that nobody uses on any host. First it is marked: whoever claimed an address before
        is seen, and whoever comes after sees the mark.
        """
        if not await self.records.live():
            raise Unavailable(f"{CUT_OFF}: nobody knows whether network {spec.name} is in use")
        try:
            entry = await self._state.get(CLUSTER_SPECS, str(spec.vni))
            if entry is None or entry.value.id != spec.id:
                raise NotFound(f"network {spec.name} not found")
            marked = spanning.removing(entry.value, self._node)
            revision = await self._state.update(CLUSTER_SPECS, str(spec.vni), value=marked, revision=entry.revision)
            await self.records.reached(revision)
            if self.records.endpoints(spec.id):
                free = spanning.removing(entry.value, "")
                await self._state.update(CLUSTER_SPECS, str(spec.vni), value=free, revision=revision)
                where = f"network {spec.name} id {spec.id}"
                raise PermissionDenied(f"error while removing network: {where} has active endpoints")
            gone = await self._state.delete(CLUSTER_SPECS, str(spec.vni), revision=revision)
            await self.records.reached(gone)
            return gone
        except DeadlineExceeded:
            raise Unavailable(f"{CUT_OFF}: nobody knows whether network {spec.name} is in use") from None

    # What is on the host

    def rules(self) -> list[BridgeRules]:
        found = (drivers.of(spec).rules(spec, self._prefix) for spec in self._here.values())
        return [rules for rules in found if rules is not None]

    def interfaces(self, spec: NetworkSpec) -> frozenset[str]:
        """What the host has for a network while one of its containers is on it."""
        return frozenset((naming.bridge_interface(self._prefix, spec.id), naming.uplink(self._prefix, spec.id)))

    async def ensure(self, spec: NetworkSpec) -> None:
        """The network's bridge is there, and joined with those of the other hosts."""
        if spec.id in self._here:
            return
        async with self._locks[spec.id]:
            if spec.id not in self._here:
                await self._make(spec)
                self._here[spec.id] = spec
                await self._tell(spec.id)

    async def _make(self, spec: NetworkSpec) -> None:
        driver, rules = drivers.of(spec), drivers.of(spec).rules(spec, self._prefix)
        link = driver.link(spec, self._prefix, ())
        assert link is not None
        assert rules is not None
        await asyncio.to_thread(self._files.write, spec)
        try:
            await asyncio.to_thread(self._links.ensure, link)
            await asyncio.to_thread(self._firewall.add_bridge, rules)
            await self._join(spec)
        except (OSError, ShoalError) as error:
            await self._take_away(spec)
            text = error.message if isinstance(error, ShoalError) else error.strerror
            raise FailedPrecondition(f"network {spec.name} cannot be joined: {text}") from error

    async def _join(self, spec: NetworkSpec) -> None:
        request = JoinRequest(
            network=spec.id,
            bridge=naming.bridge_interface(self._prefix, spec.id),
            port=naming.uplink(self._prefix, spec.id),
            vni=spec.vni,
            host=str(self.host),
            mtu=spec.mtu,
            options=spec.options,
        )
        await self.uplinks.join(spec.driver, request)

    async def restore(self, network_id: str) -> None:
        """After this service's start, for a network that containers here are on. The rules are made for all at once."""
        spec = self._here.get(network_id) or self.records.spec(network_id)
        if spec is None:
            return
        self._here[spec.id] = spec
        try:
            link = drivers.of(spec).link(spec, self._prefix, ())
            assert link is not None
            await asyncio.to_thread(self._links.ensure, link)
            await self._join(spec)
        except (OSError, ShoalError) as error:
            log.error("network %s does not reach other hosts: %s", spec.name, error)

    def left(self, network_id: str) -> None:
        """A container here has left the network."""
        self._leaving.start(self.leave_unused(network_id), "leave")

    async def settled(self, timeout: float) -> None:
        """Returns when networks not needed here are left, and the hubs know it, or after `timeout` seconds."""
        await asyncio.gather(self._leaving.drain(timeout), self.claims.settled(timeout))
        await self._leaving.close()

    def _restarted(self) -> None:
        """A driver began anew: it is told again what it has to do here."""
        for spec in self.here():
            if self.uplinks.foreign(spec.driver):
                self._tasks.start(self._tell_again(spec), "again")

    async def _tell_again(self, spec: NetworkSpec) -> None:
        async with self._locks[spec.id]:
            if spec.id not in self._here:
                return
            try:
                await self._join(spec)
            except ShoalError as error:
                log.error("network %s does not reach other hosts: %s", spec.name, error)
        self._soon(spec.id)

    async def leave_unused(self, network_id: str) -> None:
        """Takes the bridge away if no container here needs it any more."""
        if network_id not in self._here or self.busy(network_id):
            return
        async with self._locks[network_id]:
            spec = self._here.get(network_id)
            if spec is not None and not self.busy(network_id):
                del self._here[network_id]
                await self._take_away(spec)

    async def _take_away(self, spec: NetworkSpec) -> None:
        rules = drivers.of(spec).rules(spec, self._prefix)
        with contextlib.suppress(ShoalError):
            await self.uplinks.leave(
                spec.driver, LeaveRequest(network=spec.id, port=naming.uplink(self._prefix, spec.id))
            )
        if rules is not None:
            try:
                await asyncio.to_thread(self._firewall.remove_bridge, rules)
            except ShoalError as error:
                log.warning("rules of network %s: %s", spec.name, error)
        for name in self.interfaces(spec):
            await asyncio.to_thread(self._links.remove, name)
        await asyncio.to_thread(self._files.remove, spec.id)

    # What is heard of other hosts

    def _network(self, before: NetworkSpec | None, after: NetworkSpec | None) -> None:
        if after is not None:
            self._space(after)
        elif before is not None:
            self._spaces.pop(before.id, None)
        self.changed()

    def _endpoint(self, before: EndpointRecord | None, after: EndpointRecord | None) -> None:
        away = [record if record is not None and self._answers(record.node) else None for record in (before, after)]
        self.on_peer(away[0], away[1])
        found = after or before
        if found is not None and found.network_id in self._here:
            self._soon(found.network_id)
        self.changed()

    def _answers(self, node: str) -> bool:
        """Whether the names of what another host has lead anywhere."""
        return node != self._node and not self.records.is_lost(node)

    def _lost(self, node: str, lost: bool) -> None:
        for network_id in self.records.networks_in_use() if node != self._node else ():
            for record in self.records.endpoints(network_id):
                if record.node == node:
                    self.on_peer(*((record, None) if lost else (None, record)))

    def _address(self, network_id: str, address: str, taken: bool) -> None:
        space = self._spaces.get(network_id)
        if space is not None:
            (space.reserve if taken else space.release)([ipaddress.ip_address(address)])

    def _hosts(self) -> None:
        """Addresses of hosts that are no more are given back by the hubs' hosts; the others send nothing there."""
        if self.records.complete and self.records.is_hub(self._node) and (gone := list(self._orphans())):
            self._tasks.start(self.claims.reclaim(gone), "reclaim")
        for network_id in self._here:
            self._soon(network_id)
        self.changed()

    def _orphans(self) -> Iterator[EndpointRecord]:
        for network_id in self.records.networks_in_use():
            for record in self.records.endpoints(network_id):
                if not self.records.is_host(record.node):
                    yield record

    def _soon(self, network_id: str) -> None:
        self._dirty.add(network_id)
        if not self._telling:
            self._telling = True
            self._tasks.start(self._tell_all(), "peers")

    async def _tell_all(self) -> None:
        try:
            while self._dirty:
                network_id = self._dirty.pop()
                try:
                    await self._tell(network_id)
                except ShoalError as error:
                    log.warning("network %s: its driver does not know who is where: %s", network_id, error)
                    self._dirty.add(network_id)
                    await asyncio.sleep(RETRY)
        finally:
            self._telling = False

    async def tell(self, network_id: str) -> None:
        """Returns when the driver knows who is where; where it fails it is told again later."""
        try:
            await self._tell(network_id)
        except ShoalError as error:
            log.warning("network %s: its driver does not know who is where: %s", network_id, error)
            self._soon(network_id)

    async def _tell(self, network_id: str) -> None:
        """What was seen last counts while the hubs are away; before anything was seen, what the driver has."""
        spec = self._here.get(network_id)
        if spec is not None and self.records.complete:
            known = peers.peers(self.records.placed(network_id), self._node, self.records.hosts())
            port = naming.uplink(self._prefix, network_id)
            await self.uplinks.peers(spec.driver, PeersRequest(network=network_id, port=port, peers=known))
