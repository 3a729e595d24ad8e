"""The sandboxes of this node: made at a container's start, released at its end, found again after a crash."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from shared import ids
from shared.contracts.container import EndpointSettings
from shared.contracts.network import Changed, EndpointRecord, NetworkSpec, Sandbox, SandboxRequest
from shared.errors import FailedPrecondition, InvalidArgument, PermissionDenied, ShoalError

from .adapters import dns_sockets
from .adapters.dns_sockets import DnsSockets
from .adapters.firewall import Firewall
from .adapters.host_files import ContainerFiles, Records, own_files
from .adapters.host_ports import HostPorts
from .adapters.proxy import Proxy
from .adapters.stacks import Stacks
from .adapters.sysctl import has_ipv6
from .announcer import Announcer
from .catalog import Catalog
from .claims import Taken
from .domain import drivers, endpoints, files, resolution, sandboxes
from .domain.endpoints import Attachment
from .domain.publishing import Forward
from .domain.sandboxes import SandboxRecord
from .port_claims import PortClaims
from .resolver import Resolver

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Host:
    """The parts of the host that sandboxes are made of."""

    stacks: Stacks
    firewall: Firewall
    proxy: Proxy
    ports: HostPorts
    records: Records
    files: ContainerFiles


class Sandboxes:
    """What exists, by container. Changes of one container come one after another: the caller sees to that."""

    def __init__(self, node: str, announcer: Announcer, catalog: Catalog, host: Host) -> None:
        self._node = node
        self._announcer = announcer
        self._catalog = catalog
        self._host = host
        self.resolver = Resolver(host.proxy)
        self._present: dict[str, SandboxRecord] = {}
        self._pending: collections.Counter[str] = collections.Counter()
        self.port_claims = PortClaims(host.ports)

    def get(self, container_id: str) -> SandboxRecord | None:
        return self._present.get(container_id)

    def all(self) -> list[SandboxRecord]:
        return list(self._present.values())

    def on(self, network_id: str) -> list[tuple[SandboxRecord, Attachment]]:
        """Who is on a network."""
        return [
            (record, attachment)
            for record in self._present.values()
            for attachment in record.attachments
            if attachment.network_id == network_id
        ]

    def busy(self, network_id: str) -> bool:
        """Whether a network is in use, or is about to be."""
        return self._pending[network_id] > 0 or bool(self.on(network_id))

    def specs(self, record: SandboxRecord) -> dict[str, NetworkSpec]:
        """The networks that a sandbox is on, by id."""
        return {entry.network_id: self._catalog.find(entry.network_id) for entry in record.attachments}

    def forwards(self, record: SandboxRecord) -> list[Forward]:
        """Where the published ports of a sandbox lead."""
        if record.standby or not record.sandbox.ports:
            return []
        return sandboxes.forwards(record, self.specs(record))

    def adopt(self, record: SandboxRecord) -> None:
        """Goes on with a sandbox that was found on the host: its addresses and ports are taken again."""
        self._present[record.sandbox.container_id] = record
        for attachment in record.wired:
            self._catalog.space(attachment.network_id).reserve(attachment.ips)
        self._host.ports.adopt(sandboxes.held(record))
        self._host.ports.serve(self.forwards(record))
        if not record.standby:
            self.resolver.add(record)

    async def make(self, request: SandboxRequest) -> SandboxRecord:
        """A sandbox as asked for; a failure leaves nothing behind."""
        named = sandboxes.wished_endpoints(request)
        specs = {spec.id: spec for spec in [await self._catalog.look(name) for name in named]}
        if len(specs) < len(named):
            raise InvalidArgument(f"container {request.container_name} names one of its networks twice")
        wishes = dict(zip(specs, named.values(), strict=True))
        way_out = await self._catalog.way_out(specs.values())
        hidden = way_out.id if way_out is not None else ""
        if way_out is not None:
            specs[hidden], wishes[hidden] = way_out, EndpointSettings()
        with self.using(specs), contextlib.ExitStack() as undo:
            draft = await self._claimed(request, specs, wishes, hidden, undo)
            await self._catalog.ready(specs.values())
            record, sockets = await self._realise(request, draft, specs)
            self._host.ports.serve(self.forwards(record))
            self.put(record)
            if sockets is not None:
                self.resolver.serve(record, sockets)
            undo.pop_all()
        self._relink(record.sandbox.container_id)
        return record

    def _relink(self, container_id: str) -> None:
        """Containers that link to one that came again learn of its new addresses."""
        for other in self.all():
            for link in other.links:
                target, _, alias = link.partition(":")
                if target == container_id:
                    own = msgspec.structs.replace(other, links=(link,))
                    self._host.files.relink(other.sandbox.container_id, alias, sandboxes.linked(own, self._present))

    def put(self, record: SandboxRecord) -> None:
        """This is the sandbox of its container from now on; others learn of it."""
        self._present[record.sandbox.container_id] = record
        if not record.standby:
            self.resolver.add(record)
        self.tell(record)
        told = (sandboxes.endpoint_record(record, attachment, self._node) for attachment in record.attachments)
        self._catalog.changed(Changed(endpoints=tuple(told)))

    @contextlib.contextmanager
    def using(self, network_ids: Iterable[str]) -> Iterator[None]:
        """The networks are about to be used: they cannot be removed meanwhile."""
        network_ids = list(network_ids)
        self._pending.update(network_ids)
        try:
            yield
        finally:
            self._pending.subtract(network_ids)

    async def _claimed(
        self,
        request: SandboxRequest,
        specs: dict[str, NetworkSpec],
        wishes: dict[str, EndpointSettings],
        hidden: str,
        undo: contextlib.ExitStack,
    ) -> SandboxRecord:
        """As `_plan`, with addresses that the cluster agrees on, and chosen ports that no other has; those that others
        were quicker to take are not tried again.
        """
        while True:
            with contextlib.ExitStack() as attempt:
                draft = self._plan(request, specs, wishes, hidden, attempt)
                try:
                    for entry in draft.attachments:
                        await self.claim(draft, entry, wishes[entry.network_id], attempt)
                except Taken:
                    continue
                if self.port_claims.mesh.outrun(draft):
                    continue
                undo.enter_context(attempt.pop_all())
                return draft

    async def claim(
        self, record: SandboxRecord, entry: Attachment, wish: EndpointSettings, undo: contextlib.ExitStack
    ) -> None:
        """Takes an endpoint's addresses at the hubs, if its network spans hosts. Raises `Taken`."""
        across = self._catalog.spanning
        if record.standby or across is None or across.space(entry.network_id) is None:
            return
        told = sandboxes.endpoint_record(record, entry, self._node)
        try:
            await across.claims.claim(told)
        except Taken as error:
            asked = wish.ipam_config
            if asked is not None and error.address in (asked.ipv4_address, asked.ipv6_address):
                raise PermissionDenied("Address already in use") from None
            raise
        undo.callback(across.claims.retract, told)

    def _plan(
        self,
        request: SandboxRequest,
        specs: dict[str, NetworkSpec],
        wishes: dict[str, EndpointSettings],
        hidden: str,
        undo: contextlib.ExitStack,
    ) -> SandboxRecord:
        """The sandbox with addresses and ports taken, which `undo` gives back; nothing of it is made yet.

        The network `hidden` nobody asked for: it is the way out.
        """
        mode = sandboxes.stack_mode(request.mode)
        sandboxes.check_networks(mode, specs.values())
        entries: list[Attachment] = []
        formers: list[EndpointRecord] = []
        for spec in specs.values():
            former = self._former(request, spec, hidden)
            if former is not None:
                formers.append(former)
                base = Attachment(network_id=spec.id, network_name=spec.name, endpoint_id="")
                entries.append(endpoints.inherited(base, spec, wishes[spec.id], former, entries))
            else:
                entries.append(self.attach(spec, wishes[spec.id], entries, undo, way_out=spec.id == hidden))
        sandbox = Sandbox(
            container_id=request.container_id,
            sandbox_id="",
            endpoints={
                entry.network_name: self._shown(request, specs[entry.network_id], entry, wishes) for entry in entries
            },
            files=self._host.files.paths(request.container_id),
            publish=request.publish if mode == "bridge" else {},
        )
        record = SandboxRecord(
            sandbox=sandbox,
            container_name=request.container_name,
            mode=mode,
            attachments=tuple(entries),
            own_names=files.own_names(sandboxes.own_name(request), request.domainname),
            nameservers=request.dns,
            dns=resolution.needs_dns(spec.name for spec in specs.values()) and mode == "bridge",
            exposed=request.exposed if mode == "bridge" else (),
            publish_all=request.publish_all and mode == "bridge",
            links=request.links,
            standby=request.standby,
        )
        record = sandboxes.routed(record, specs)
        self.port_claims.mesh.check(record)
        wanted = sandboxes.port_wishes(record, specs, dual=has_ipv6())
        taken = self.port_claims.reserve(record, wanted, undo, formers)
        return sandboxes.with_ports(record, taken, specs)

    def _former(self, request: SandboxRequest, spec: NetworkSpec, hidden: str) -> EndpointRecord | None:
        """The endpoint that the container has on another host, without which it cannot be in standby; or had here until
        now, of which the hubs could not be told.
        """
        across = self._catalog.spanning
        found = across.records.endpoint_of(spec.id, request.container_id) if across is not None else None
        former = found
        if found is not None and across is not None and found.node == self._node and not across.claims.kept(found):
            former = None
        if former is None and request.standby and spec.id != hidden and drivers.of(spec).wire(spec, "") is not None:
            raise FailedPrecondition(f"network {spec.name} does not span the hosts between which the container moves")
        return former

    def attach(
        self,
        spec: NetworkSpec,
        wish: EndpointSettings,
        taken: Iterable[Attachment],
        undo: contextlib.ExitStack,
        *,
        way_out: bool = False,
    ) -> Attachment:
        """An endpoint on the network with its addresses taken, which `undo` gives back."""
        base = Attachment(network_id=spec.id, network_name=spec.name, endpoint_id=ids.new_id(), way_out=way_out)
        space = self._catalog.space(spec.id)
        entry = endpoints.attach(base, spec, wish, space, tuple(taken))
        undo.callback(self._catalog.free, spec.id, entry.ips)
        return entry

    def _shown(
        self, request: SandboxRequest, spec: NetworkSpec, entry: Attachment, wishes: Mapping[str, EndpointSettings]
    ) -> EndpointSettings:
        wish = wishes[spec.id]
        names = endpoints.dns_names(request.container_id, request.container_name, wish, request.hostname)
        return endpoints.settings(spec, entry, wish, names)

    async def _realise(
        self, request: SandboxRequest, draft: SandboxRecord, specs: dict[str, NetworkSpec]
    ) -> tuple[SandboxRecord, DnsSockets | None]:
        try:
            return await asyncio.to_thread(self._make_on_host, request, draft, specs)
        except OSError as error:
            raise FailedPrecondition(f"network sandbox cannot be made: {error.strerror or error}") from error

    def _make_on_host(
        self, request: SandboxRequest, draft: SandboxRecord, specs: dict[str, NetworkSpec]
    ) -> tuple[SandboxRecord, DnsSockets | None]:
        """Runs in a thread. The record is written last: what has none is swept after a crash."""
        host, linked = own_files(), sandboxes.linked(draft, self._present)
        contents = sandboxes.contents(request, draft, host, linked, self._catalog.host_gateways())
        self._host.files.write(request.container_id, contents)
        if draft.mode == "host":
            sandbox_id, path = ids.new_id(), ""
        else:
            sandbox_id = self._host.stacks.set_up(sandboxes.plans(draft, specs, self._catalog.prefix))
            path = str(self._host.stacks.path(sandbox_id))
        sandbox = msgspec.structs.replace(draft.sandbox, sandbox_id=sandbox_id, path=path)
        dots = files.sets_ndots(host.resolv_conf, request.dns_options)
        record = msgspec.structs.replace(draft, sandbox=sandbox, dots=dots)
        leading = [] if record.standby else sandboxes.forwards(record, specs)
        try:
            self._host.firewall.publish(leading)
            sockets = dns_sockets.open_in(Path(path)) if record.dns else None
            self._host.records.write(record)
        except BaseException:
            self._take_from_host(record, leading)
            raise
        return record, sockets

    def _take_from_host(self, record: SandboxRecord, leading: list[Forward]) -> None:
        """Runs in a thread; may be done again."""
        self._host.records.remove(record.sandbox.container_id)
        self.unpublish(record, leading)
        if record.mode != "host":
            self._host.stacks.tear_down(record.id, record.wired)

    def unpublish(self, record: SandboxRecord, leading: list[Forward]) -> None:
        """Takes published ports out of the rules. Runs in a thread."""
        try:
            self._host.firewall.unpublish(leading)
        except ShoalError as error:
            log.warning("rules of %s are not as they should be, all are made anew: %s", record.id, error)
            others = [other for other in self.all() if other.sandbox.container_id != record.sandbox.container_id]
            self.replace_rules(others)

    def replace_rules(self, records: list[SandboxRecord]) -> None:
        """Makes the firewall hold exactly what all networks and these sandboxes need. Runs in a thread."""
        leading = [forward for record in records for forward in self.forwards(record)]
        self._host.firewall.replace(self._catalog.rules(), leading)

    def link(self, record: SandboxRecord, links: tuple[str, ...]) -> None:
        """The container links to these others only: lines of the rest leave its hosts file."""
        for link in record.links:
            if link not in links:
                self._host.files.relink(record.sandbox.container_id, link.partition(":")[2], ())
        after = msgspec.structs.replace(record, links=links)
        self._host.records.write(after)
        self.put(after)

    def rename(self, record: SandboxRecord, name: str) -> None:
        """The container has another name from now on; others find it by that."""
        renamed = sandboxes.renamed(record, name)
        self._host.records.write(renamed)
        self.put(renamed)

    def tell(self, record: SandboxRecord) -> None:
        """Lets others know of the sandbox's endpoints; of one in standby nobody is to know."""
        if record.standby:
            return
        across = self._catalog.spanning
        for attachment in record.attachments:
            told = sandboxes.endpoint_record(record, attachment, self._node)
            if across is not None and across.space(attachment.network_id) is not None:
                across.claims.tell(told)
            else:
                self._announcer.tell(told)

    async def release(self, record: SandboxRecord, *, moved: bool = False) -> None:
        """Ends a sandbox; its addresses and ports are free when this returns. `moved`: its addresses are elsewhere."""
        await asyncio.to_thread(self._take_from_host, record, self.forwards(record))
        del self._present[record.sandbox.container_id]
        self.resolver.remove(record.sandbox.container_id)
        self._host.ports.release(sandboxes.held(record))
        for attachment in record.attachments:
            self.free(record, attachment, moved=moved)
        await self._host.proxy.settled()

    def free(self, record: SandboxRecord, attachment: Attachment, *, moved: bool = False) -> None:
        """Gives the addresses of a sandbox's endpoint back and forgets the endpoint."""
        across = self._catalog.spanning
        if across is not None and across.space(attachment.network_id) is not None:
            gone = sandboxes.endpoint_record(record, attachment, self._node)
            (across.claims.forget if moved or record.standby else across.claims.retract)(gone)
            across.left(attachment.network_id)
        else:
            self._catalog.free(attachment.network_id, attachment.ips)
            self._announcer.retract(attachment.network_id, attachment.endpoint_id)
        self._catalog.changed(Changed(left={attachment.endpoint_id: attachment.network_id}))
