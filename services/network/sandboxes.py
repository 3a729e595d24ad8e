"""The sandboxes of this node: made at a container's start, released at its end, found again after a crash."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from shared import ids
from shared.contracts.container import EndpointSettings
from shared.contracts.network import NetworkSpec, Sandbox, SandboxRequest
from shared.errors import Conflict, FailedPrecondition, InvalidArgument, ShoalError

from .adapters import dns_sockets
from .adapters.dns_sockets import DnsSockets
from .adapters.firewall import Firewall
from .adapters.host_files import ContainerFiles, Records, own_files
from .adapters.host_ports import HostPorts
from .adapters.links import has_ipv6
from .adapters.stacks import Stacks
from .announcer import Announcer
from .catalog import Catalog
from .domain import files, networks, publishing, resolution, sandboxes
from .domain.addresses import mac_address
from .domain.publishing import Forward
from .domain.sandboxes import Attachment, SandboxRecord
from .resolver import Resolver

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Host:
    """The parts of the host that sandboxes are made of."""

    stacks: Stacks
    firewall: Firewall
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
        self.resolver = Resolver()
        self._present: dict[str, SandboxRecord] = {}
        self._pending: collections.Counter[str] = collections.Counter()

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

    def forwards(self) -> list[Forward]:
        """All published ports."""
        return [forward for record in self._present.values() for forward in sandboxes.forwards(record)]

    def adopt(self, record: SandboxRecord) -> None:
        """Goes on with a sandbox that was found on the host: its addresses and ports are taken again."""
        self._present[record.sandbox.container_id] = record
        for attachment in record.wired:
            self._catalog.pool(attachment.network_id).reserve([attachment.ip])
        self._host.ports.adopt(sandboxes.forwards(record))
        self.resolver.add(record)

    async def make(self, request: SandboxRequest) -> SandboxRecord:
        """A sandbox as asked for; a failure leaves nothing behind."""
        named = sandboxes.wished_endpoints(request)
        specs = {spec.id: spec for spec in map(self._catalog.find, named)}
        if len(specs) < len(named):
            raise InvalidArgument(f"container {request.container_name} names one of its networks twice")
        wishes = dict(zip(specs, named.values(), strict=True))
        with self.using(specs), contextlib.ExitStack() as undo:
            draft = self._plan(request, specs, wishes, undo)
            record, sockets = await self._realise(request, draft, specs)
            self._host.ports.serve(sandboxes.forwards(record))
            self.put(record)
            if sockets is not None:
                self.resolver.serve(record, sockets)
            undo.pop_all()
        return record

    def put(self, record: SandboxRecord) -> None:
        """This is the sandbox of its container from now on; others learn of it."""
        self._present[record.sandbox.container_id] = record
        self.resolver.add(record)
        self.tell(record)

    @contextlib.contextmanager
    def using(self, network_ids: Iterable[str]) -> Iterator[None]:
        """The networks are about to be used: they cannot be removed meanwhile."""
        network_ids = list(network_ids)
        self._pending.update(network_ids)
        try:
            yield
        finally:
            self._pending.subtract(network_ids)

    def _plan(
        self,
        request: SandboxRequest,
        specs: dict[str, NetworkSpec],
        wishes: dict[str, EndpointSettings],
        undo: contextlib.ExitStack,
    ) -> SandboxRecord:
        """The sandbox with addresses and ports taken, which `undo` gives back; nothing of it is made yet."""
        mode = sandboxes.stack_mode(request.mode)
        sandboxes.check_networks(mode, specs.values())
        attachments = tuple(
            self.attach(spec, wishes[spec.id], f"eth{index}", undo) for index, spec in enumerate(specs.values())
        )
        chosen = sandboxes.gateway_of(specs, wishes)
        gateway = next((entry for entry in attachments if entry.network_id == chosen and entry.interface), None)
        forwards = self._publish(request, specs[chosen], gateway, undo) if gateway else []
        sandbox = Sandbox(
            container_id=request.container_id,
            sandbox_id="",
            endpoints={
                entry.network_name: self._shown(request, specs[entry.network_id], entry, wishes)
                for entry in attachments
            },
            ports=publishing.shown(forwards, request.exposed) if mode == "bridge" else {},
            files=self._host.files.paths(request.container_id),
        )
        return SandboxRecord(
            sandbox=sandbox,
            container_name=request.container_name,
            mode=mode,
            attachments=attachments,
            gateway=gateway.endpoint_id if gateway else "",
            own_names=files.own_names(sandboxes.own_name(request), request.domainname),
            nameservers=request.dns,
            dns=resolution.needs_dns(spec.name for spec in specs.values()),
        )

    def attach(
        self, spec: NetworkSpec, wish: EndpointSettings, interface: str, undo: contextlib.ExitStack
    ) -> Attachment:
        """An endpoint on the network with its address taken, which `undo` gives back."""
        base = Attachment(network_id=spec.id, network_name=spec.name, endpoint_id=ids.new_id())
        if spec.driver != "bridge":
            return base
        pool = self._catalog.pool(spec.id)
        address = pool.request(sandboxes.check_wish(spec, wish))
        undo.callback(pool.release, address)
        return msgspec.structs.replace(
            base,
            interface=interface,
            bridge=self._catalog.interface(spec),
            address=f"{address}/{pool.subnet.prefixlen}",
            mac=sandboxes.check_mac(wish.mac_address) if wish.mac_address else mac_address(address),
            mtu=networks.mtu(spec.options),
        )

    def _publish(
        self, request: SandboxRequest, spec: NetworkSpec, gateway: Attachment, undo: contextlib.ExitStack
    ) -> list[Forward]:
        """Takes the host ports. Raises with the endpoint's name, as dockerd does."""
        if not (request.publish or request.publish_all):
            return []
        wishes = publishing.wishes(
            request.publish,
            request.exposed,
            request.publish_all,
            default_host=networks.host_binding(spec.options),
            dual=has_ipv6(),
        )
        forwards: list[Forward] = []
        undo.callback(self._host.ports.release, forwards)
        for wish in wishes:
            try:
                forwards += self._host.ports.reserve(wish, gateway.ip)
            except ShoalError as error:
                where = f"endpoint {request.container_name} ({gateway.endpoint_id})"
                text = f"driver failed programming external connectivity on {where}: {error.message}"
                raise type(error)(text) from None
        return forwards

    def _shown(
        self, request: SandboxRequest, spec: NetworkSpec, entry: Attachment, wishes: dict[str, EndpointSettings]
    ) -> EndpointSettings:
        wish = wishes[spec.id]
        names = sandboxes.dns_names(request.container_id, request.container_name, wish, request.hostname)
        return sandboxes.settings(spec, entry, wish, names)

    async def _realise(
        self, request: SandboxRequest, draft: SandboxRecord, specs: dict[str, NetworkSpec]
    ) -> tuple[SandboxRecord, DnsSockets | None]:
        links = self._linked(request)
        try:
            return await asyncio.to_thread(self._make_on_host, request, draft, specs, links)
        except OSError as error:
            raise FailedPrecondition(f"network sandbox cannot be made: {error}") from error

    def _linked(self, request: SandboxRequest) -> list[tuple[str, str]]:
        """Lines of the hosts file for `--link`: address and names."""
        found = []
        for link in request.links:
            target, _, alias = link.partition(":")
            record = next((r for r in self.all() if target in (r.container_name, r.sandbox.container_id)), None)
            if record is None or not record.wired:
                raise Conflict(
                    f"Cannot link to a non running container: /{target} AS /{request.container_name}/{alias}"
                )
            names = dict.fromkeys(
                (alias or target, record.sandbox.container_id[: sandboxes.SHORT_ID], record.container_name)
            )
            found.append((str(record.wired[0].ip), " ".join(names)))
        return found

    def _make_on_host(
        self, request: SandboxRequest, draft: SandboxRecord, specs: dict[str, NetworkSpec], links: list[tuple[str, str]]
    ) -> tuple[SandboxRecord, DnsSockets | None]:
        """Runs in a thread. The record is written last: what has none is swept after a crash."""
        gateway = self._catalog.gateway_of_default()
        self._host.files.write(request.container_id, sandboxes.contents(request, draft, own_files(), links, gateway))
        if draft.mode == "host":
            sandbox_id, path = ids.new_id(), ""
        else:
            sandbox_id = self._host.stacks.set_up(sandboxes.interfaces(draft, specs))
            path = str(self._host.stacks.path(sandbox_id))
        sandbox = msgspec.structs.replace(draft.sandbox, sandbox_id=sandbox_id, path=path)
        record = msgspec.structs.replace(draft, sandbox=sandbox)
        try:
            self._host.firewall.publish(sandboxes.forwards(record))
            sockets = dns_sockets.open_in(Path(path)) if record.dns else None
            self._host.records.write(record)
        except BaseException:
            self._take_from_host(record)
            raise
        return record, sockets

    def _take_from_host(self, record: SandboxRecord) -> None:
        """Runs in a thread; may be done again."""
        self._host.records.remove(record.sandbox.container_id)
        self.unpublish(record)
        if record.mode != "host":
            self._host.stacks.tear_down(record.id, [entry.interface for entry in record.wired])

    def unpublish(self, record: SandboxRecord) -> None:
        """Takes the sandbox's published ports out of the rules. Runs in a thread."""
        try:
            self._host.firewall.unpublish(sandboxes.forwards(record))
        except ShoalError as error:
            log.warning("rules of %s are not as they should be, all are made anew: %s", record.id, error)
            others = [other for other in self.all() if other is not record]
            self.replace_rules(others)

    def replace_rules(self, records: list[SandboxRecord]) -> None:
        """Makes the firewall hold exactly what all networks and these sandboxes need. Runs in a thread."""
        bridges = [networks.rules(spec, interface) for interface, spec in self._catalog.bridges().items()]
        self._host.firewall.replace(bridges, [f for record in records for f in sandboxes.forwards(record)])

    def rename(self, record: SandboxRecord, name: str) -> None:
        """The container has another name from now on; others find it by that."""
        renamed = sandboxes.renamed(record, name)
        self._host.records.write(renamed)
        self.put(renamed)

    def tell(self, record: SandboxRecord) -> None:
        """Lets others know of the sandbox's endpoints."""
        for attachment in record.attachments:
            self._announcer.tell(sandboxes.endpoint_record(record, attachment, self._node))

    async def release(self, record: SandboxRecord) -> None:
        """Ends a sandbox; its addresses and ports are free when this returns."""
        await asyncio.to_thread(self._take_from_host, record)
        del self._present[record.sandbox.container_id]
        self.resolver.remove(record.sandbox.container_id)
        self._host.ports.release(sandboxes.held(record))
        for attachment in record.attachments:
            self.free(attachment)

    def free(self, attachment: Attachment) -> None:
        """Gives an endpoint's address back and forgets the endpoint."""
        if attachment.interface:
            self._catalog.pool(attachment.network_id).release(attachment.ip)
        self._announcer.retract(attachment.network_id, attachment.endpoint_id)
