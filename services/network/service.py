"""The endpoints of the network service."""

from __future__ import annotations

import asyncio
import logging
import re
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from shared import clock, cluster, hostmounts
from shared.config import Settings
from shared.contracts import network as contract
from shared.contracts.base import Empty
from shared.contracts.common import DockerEvent, PruneReport, Revision
from shared.contracts.network import Network, NetworkSpec, Sandbox
from shared.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, ShoalError
from shared.service import Kernel
from shared.shielded import carried_through

from .adapters.firewall import Firewall
from .adapters.host_files import ContainerFiles, Records, SpecFiles
from .adapters.host_ports import HostPorts
from .adapters.links import HostLinks
from .adapters.proxy import Proxy
from .adapters.stacks import Stacks
from .announcer import Announcer
from .catalog import Catalog
from .domain import endpoints, lookup, naming, networks, options
from .domain import sandboxes as plans
from .domain.addresses import Address
from .domain.drivers import overlay
from .domain.endpoints import Attachment
from .domain.sandboxes import SandboxRecord
from .membership import Membership
from .moving import Moving
from .recover import recover
from .sandboxes import Host, Sandboxes
from .upkeep import Upkeep

if TYPE_CHECKING:
    from .meshing import Meshing
    from .spanning import Spanning

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds a stopping service takes to tell the store of endpoints; the next one tells the rest."""
_CONTAINER_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,127}\Z")


class NetworkService:
    """Networks, endpoints, sandboxes, addresses and published ports of one node."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.tasks = kernel.tasks
        settings = kernel.settings
        folder = settings.run_path / "network"
        self._links = HostLinks()
        proxy = Proxy(folder)
        membership = cluster.load(settings.state_path)
        self._host = Host(
            stacks=Stacks(self._links, folder / "netns", settings.interface_prefix),
            firewall=Firewall(settings.nft_table),
            proxy=proxy,
            ports=HostPorts(proxy, place=kernel.node if membership is not None else ""),
            records=Records(folder / "sandboxes"),
            files=ContainerFiles(folder / "containers"),
        )
        self._spanning = None if membership is None else self._across(membership, folder)
        self._catalog = Catalog(settings, kernel.node, kernel.state, self._links, self._host.firewall, self._spanning)
        self._announcer = Announcer(kernel.state, kernel.tasks)
        self._sandboxes = Sandboxes(kernel.node, self._announcer, self._catalog, self._host)
        self._membership = Membership(self._catalog, self._host, self._sandboxes)
        self._moving = Moving(self._catalog, self._host, self._sandboxes, kernel.node)
        self._upkeep = Upkeep(self._host.stacks, kernel.tasks)
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    def _across(self, membership: cluster.Membership, folder: Path) -> Spanning:
        from .adapters import esp  # here: most hosts are in no cluster
        from .adapters.tunnel import Tunnel
        from .protection import Identity, Keyring, Protection
        from .spanning import Spanning, host_address
        from .uplinks import Uplinks

        kernel, settings = self._kernel, self._kernel.settings
        device = naming.tunnel(settings.interface_prefix)

        def host() -> Address:
            return host_address(membership)

        def by_what() -> Keyring:
            if esp.available():
                return esp.Esp(host, settings.nft_table)
            return Tunnel(folder, device, host, settings.nft_table)

        self._protection = Protection(
            kernel.node,
            by_what,
            lambda: Identity.of(settings.state_path),
            lambda: spanning.records.hosts(),
            lambda node, request: kernel.bus.call(contract.AGREE, request, node),
            kernel.tasks,
            folder / "encrypted",
        )
        spanning = Spanning(
            membership,
            kernel.node,
            kernel.settings.interface_prefix,
            kernel.state,
            kernel.tasks,
            self._links,
            self._host.firewall,
            Uplinks(kernel.bus, self._protection),
            SpecFiles(folder / "spanning"),
        )
        self._meshing = self._mesh(spanning, folder, host)
        return spanning

    def _mesh(self, spanning: Spanning, folder: Path, host: Callable[[], Address]) -> Meshing:
        from .adapters.mesh_link import MeshLink
        from .meshing import Meshing

        kernel, prefix = self._kernel, self._kernel.settings.interface_prefix
        name = naming.mesh(prefix)
        link = MeshLink(name, kernel.node, host, partial(naming.bridge_interface, prefix))
        file, firewall = folder / "mesh.json", self._host.firewall

        def mtu() -> int:
            return overlay.mtu({}, self._links.mtu_at(host()) or options.DEFAULT_MTU, host().version)

        def way_out() -> str:
            return self._catalog.way_out_interface()

        return Meshing(kernel.node, name, link, firewall, spanning.records, kernel.tasks, file, mtu, way_out)

    async def start(self) -> None:
        """Brings host, records and store to agree; the first request finds everything ready."""
        settings: Settings = self._kernel.settings
        await asyncio.to_thread(hostmounts.prepare, settings)
        for part in (self._host.stacks, self._host.records, self._host.files):
            part.open()
        self._host.proxy.open()
        if self._spanning is not None:
            self._spanning.busy = self._sandboxes.busy
            self._spanning.on_peer = self._sandboxes.resolver.peer
            await self._spanning.open()
        await self._catalog.open()
        await recover(
            settings,
            self._kernel.node,
            self._kernel.state,
            self._catalog,
            self._links,
            self._host,
            self._sandboxes,
            self._announcer,
        )
        self._catalog.changed = self._changed
        if self._spanning is not None:
            self._spanning.changed = partial(self._changed, contract.Changed())
            self._sandboxes.port_claims.mesh = self._meshing
            self._host.ports.avoid = lambda protocol, port: self._meshing.elsewhere([f"{port}/{protocol}"], "")
            self._host.ports.give_way = self._meshing.give_way
            self._meshing.start()
        self._upkeep.start()

    async def close(self) -> None:
        """Sandboxes, bridges and rules stay as they are: containers go on without this service."""
        self._upkeep.close()
        await self.told()
        if self._spanning is not None:
            await self._spanning.settled(PATIENCE)
        self._sandboxes.resolver.close()
        self._host.ports.close()
        self._host.proxy.close()
        self._host.stacks.close()
        self._host.firewall.close()
        self._links.close()
        if self._spanning is not None:
            self._spanning.uplinks.close()
            self._protection.close()
            self._meshing.close()

    def _changed(self, changed: contract.Changed) -> None:
        if self._spanning is not None:
            self._meshing.changed()
            changed = contract.Changed()  # what other hosts have is shown, too
        elif changed == contract.Changed():
            return  # a stack without endpoints
        self._kernel.bus.emit(contract.CHANGED, msgspec.structs.replace(changed, node=self._kernel.node))

    async def told(self) -> None:
        """Returns when the store has the endpoints of everything asked for until now."""
        await self._announcer.settled(PATIENCE)

    @carried_through
    async def create(self, request: contract.CreateRequest) -> contract.CreateReply:
        spec, revision = await self._catalog.create(request)
        self._emit("create", spec)
        return contract.CreateReply(id=spec.id, revision=revision)

    async def inspect(self, request: contract.InspectRequest) -> Network:
        return self._network(await self._catalog.look(request.reference, request.scope))

    async def list(self, request: contract.ListRequest) -> contract.ListReply:
        lookup.check_list(request.filters)
        found = (self._network(spec) for spec in self._catalog.all())
        return contract.ListReply(networks=tuple(net for net in found if lookup.matches(net, request.filters)))

    @carried_through
    async def remove(self, request: contract.InspectRequest) -> Revision:
        spec = await self._catalog.look(request.reference)
        if spec.name in networks.PREDEFINED:
            raise PermissionDenied(f"{spec.name} is a pre-defined network and cannot be removed")
        for record, _ in self._sandboxes.on(spec.id):
            async with self._lock(record.sandbox.container_id):
                pass  # it may just be being released: a container is gone before its network stack is
        if self._sandboxes.busy(spec.id):
            where = f"network {spec.name} id {spec.id}"
            raise PermissionDenied(f"error while removing network: {where} has active endpoints")
        revision = await self._catalog.remove(spec)
        self._emit("destroy", spec)
        return Revision(revision=revision)

    @carried_through
    async def prune(self, request: contract.PruneRequest) -> PruneReport:
        now = clock.now_ns()
        removed = []
        for spec in self._catalog.all():
            if lookup.prunable(spec, request.filters, now) and not self._in_use(spec, request):
                try:
                    await self._catalog.remove(spec)
                except ShoalError as error:  # it is used by now, or somebody was quicker; the others do not wait for it
                    log.warning("network %s is not pruned: %s", spec.name, error)
                    continue
                self._emit("destroy", spec)
                removed.append(spec.name)
        self._kernel.bus.emit(
            contract.NETWORK_EVENT,
            DockerEvent(
                type="network", action="prune", actor="", attributes={"reclaimed": "0"}, time_ns=clock.now_ns()
            ),
            suffix="prune",
        )
        return PruneReport(removed=tuple(removed))

    def _in_use(self, spec: NetworkSpec, request: contract.PruneRequest) -> bool:
        named = {*request.in_use, *(request.in_use_elsewhere if spec.vni else ())}
        if self._spanning is not None and spec.vni and self._spanning.records.endpoints(spec.id):
            return True
        return self._sandboxes.busy(spec.id) or not {spec.id, spec.name}.isdisjoint(named)

    @carried_through
    async def sandbox(self, request: contract.SandboxRequest) -> Sandbox:
        self._check_id(request.container_id)
        async with self._lock(request.container_id):
            present = self._sandboxes.get(request.container_id)
            if present is not None:
                return plans.public(present)
            record = await self._sandboxes.make(request)
        self._upkeep.used()
        if not record.standby:
            self._emit_endpoints("connect", record)
        return plans.public(record)

    @carried_through
    async def release(self, request: contract.ReleaseRequest) -> Empty:
        self._check_id(request.container_id)
        async with self._lock(request.container_id):
            record = self._sandboxes.get(request.container_id)
            if record is not None:
                await self._sandboxes.release(record, moved=request.moved)
                self._upkeep.released()
                if not (request.moved or record.standby):
                    self._emit_endpoints("disconnect", record)
            if not request.keep_files:
                self._host.files.remove(request.container_id)
        return Empty()

    @carried_through
    async def detach(self, request: contract.StackRequest) -> Empty:
        async with self._lock(request.container_id):
            await self._moving.detach(self._present(request.container_id))
        return Empty()

    @carried_through
    async def attach(self, request: contract.StackRequest) -> Sandbox:
        async with self._lock(request.container_id):
            return plans.public(await self._moving.attach(self._present(request.container_id), request.soon))

    def _present(self, container_id: str) -> SandboxRecord:
        record = self._sandboxes.get(container_id)
        if record is None:
            raise NotFound(f"container {container_id} has no network sandbox")
        return record

    async def sandboxes(self, request: Empty) -> contract.SandboxListReply:
        return contract.SandboxListReply(sandboxes=tuple(map(plans.public, self._sandboxes.all())))

    @carried_through
    async def connect(self, request: contract.ConnectRequest) -> contract.ConnectReply:
        self._check_id(request.container_id)
        spec = await self._catalog.look(request.network)
        async with self._lock(request.container_id):
            record = self._sandboxes.get(request.container_id)
            if record is None or not request.running:
                plans.check_networks("bridge", [spec])
                endpoints.check_wish(spec, request.settings)
                settings = msgspec.structs.replace(request.settings, network_id=spec.id)
                return contract.ConnectReply(network_name=spec.name, settings=settings)
            after = await self._membership.connect(record, spec, request.settings)
        self._emit("connect", spec, container=request.container_id)
        shown, ports = after.sandbox.endpoints[spec.name], after.sandbox.ports
        return contract.ConnectReply(network_name=spec.name, settings=shown, ports=ports)

    @carried_through
    async def disconnect(self, request: contract.DisconnectRequest) -> contract.DisconnectReply:
        self._check_id(request.container_id)
        spec = await self._catalog.look(request.network)
        async with self._lock(request.container_id):
            record = self._sandboxes.get(request.container_id)
            if record is None:
                return contract.DisconnectReply()
            after = await self._membership.disconnect(record, spec)
        self._emit("disconnect", spec, container=request.container_id)
        return contract.DisconnectReply(ports=after.sandbox.ports)

    @carried_through
    async def publish(self, request: contract.PublishRequest) -> Sandbox:
        self._check_id(request.container_id)
        async with self._lock(request.container_id):
            record = self._present(request.container_id)
            if record.mode != "bridge":
                raise Conflict(f"ports of a container in network mode {record.mode} cannot be published")
            return plans.public(await self._membership.publish(record, request))

    @carried_through
    async def link(self, request: contract.LinkRequest) -> Empty:
        async with self._lock(request.container_id):
            record = self._sandboxes.get(request.container_id)
            if record is not None:
                self._sandboxes.link(record, request.links)
        return Empty()

    @carried_through
    async def renamed(self, request: contract.RenamedRequest) -> Empty:
        async with self._lock(request.container_id):
            record = self._sandboxes.get(request.container_id)
            if record is not None and record.container_name != request.name:
                self._sandboxes.rename(record, request.name)
        return Empty()

    async def agree(self, request: contract.AgreeRequest) -> contract.AgreeReply:
        if self._spanning is None:
            raise FailedPrecondition("this host is in no cluster")
        return await self._protection.agree(request)

    def _check_id(self, container_id: str) -> None:
        if not _CONTAINER_ID.match(container_id):
            raise InvalidArgument(f"container_id: {container_id!r} is not an id")

    def _lock(self, container_id: str) -> asyncio.Lock:
        lock = self._locks.get(container_id)
        if lock is None:
            lock = self._locks[container_id] = asyncio.Lock()
        return lock

    def _network(self, spec: NetworkSpec) -> Network:
        if spec.vni and self._spanning is not None and self._spanning.records.complete:
            return Network(spec=spec, endpoints=tuple(self._spanning.records.endpoints(spec.id)))
        endpoints = tuple(
            plans.endpoint_record(record, attachment, self._kernel.node)
            for record, attachment in self._sandboxes.on(spec.id)
        )
        return Network(spec=spec, endpoints=endpoints)

    def _emit_endpoints(self, action: str, record: SandboxRecord) -> None:
        for attachment in record.attachments:
            if not attachment.way_out:
                self._emit(action, self._spec_of(attachment), container=record.sandbox.container_id)

    def _spec_of(self, attachment: Attachment) -> NetworkSpec:
        return self._catalog.find(attachment.network_id)

    def _emit(self, action: str, spec: NetworkSpec, **more: str) -> None:
        event = DockerEvent(
            type="network",
            action=action,
            actor=spec.id,
            attributes={**more, **networks.attributes(spec)},
            time_ns=clock.now_ns(),
        )
        self._kernel.bus.emit(contract.NETWORK_EVENT, event, suffix=action)
