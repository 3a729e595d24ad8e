"""Running containers that come to a network or leave it, and whose published ports change."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from shared.contracts.container import EndpointSettings
from shared.contracts.network import NetworkSpec, PublishRequest
from shared.errors import Conflict, FailedPrecondition, InvalidArgument

from .adapters import dns_sockets
from .adapters.dns_sockets import DnsSockets
from .adapters.host_files import read
from .adapters.sysctl import has_ipv6
from .catalog import Catalog
from .claims import Taken
from .domain import endpoints, files, publishing, resolution, sandboxes
from .domain.endpoints import Attachment
from .domain.publishing import Forward
from .domain.sandboxes import SandboxRecord
from .sandboxes import Host, Sandboxes

Specs = dict[str, NetworkSpec]


@dataclass(frozen=True)
class Membership:
    """Changes a sandbox that is in use. One at a time for each container: the caller sees to that."""

    catalog: Catalog
    host: Host
    sandboxes: Sandboxes

    async def connect(self, record: SandboxRecord, spec: NetworkSpec, wish: EndpointSettings) -> SandboxRecord:
        """The sandbox with an endpoint on the network; a failure leaves it as it was."""
        sandboxes.check_connect(record, spec)
        specs = {**self.sandboxes.specs(record), spec.id: spec}
        with contextlib.ExitStack() as undo:
            undo.enter_context(self.sandboxes.using([spec.id]))
            after = await self._attached(record, spec, wish, specs, undo)
            after = msgspec.structs.replace(after, dns=record.dns or resolution.needs_dns([spec.name]))
            return await self._become(record, after, specs, undo, f"connected to network {spec.name}")

    async def _attached(
        self,
        record: SandboxRecord,
        spec: NetworkSpec,
        wish: EndpointSettings,
        specs: Specs,
        undo: contextlib.ExitStack,
        *,
        way_out: bool = False,
    ) -> SandboxRecord:
        """The sandbox with one endpoint more, whose addresses are taken."""
        hostname = record.own_names.partition(" ")[2] or record.own_names
        names = endpoints.dns_names(record.sandbox.container_id, record.container_name, wish, hostname)
        while True:
            with contextlib.ExitStack() as attempt:
                entry = self.sandboxes.attach(spec, wish, record.attachments, attempt, way_out=way_out)
                after = sandboxes.joined(record, entry, endpoints.settings(spec, entry, wish, names), specs)
                try:
                    await self.sandboxes.claim(after, entry, wish, attempt)
                except Taken:
                    continue
                undo.enter_context(attempt.pop_all())
                return after

    async def _become(
        self, before: SandboxRecord, after: SandboxRecord, specs: Specs, undo: contextlib.ExitStack, what: str
    ) -> SandboxRecord:
        """Makes the stack what it is to be: with a way out of its own exactly where it needs one."""
        hidden = sandboxes.way_out(after)
        own = [specs[entry.network_id] for entry in after.attachments if not entry.way_out]
        way_out = await self.catalog.way_out(own)
        if hidden is not None and way_out is None:
            after = sandboxes.left(after, hidden.network_id, specs)
        if hidden is None and way_out is not None:
            specs[way_out.id] = way_out
            undo.enter_context(self.sandboxes.using([way_out.id]))
            after = await self._attached(after, way_out, EndpointSettings(), specs, undo, way_out=True)
        after = self._ports(before, after, specs, undo)
        await self.catalog.ready(specs.values())
        try:
            sockets = await asyncio.to_thread(self._change, before, after, specs)
        except OSError as error:
            raise FailedPrecondition(f"container cannot be {what}: {error.strerror or error}") from error
        undo.pop_all()
        for entry in _gone(before, after):
            self.sandboxes.free(before, entry)
        await self._changed(after)
        if sockets is not None:
            self.sandboxes.resolver.serve(after, sockets)
        return after

    def _ports(
        self,
        before: SandboxRecord,
        after: SandboxRecord,
        specs: Specs,
        undo: contextlib.ExitStack,
        unwanted: Sequence[Forward] = (),
    ) -> SandboxRecord:
        """The sandbox with the ports that it is to publish now taken, which `undo` turns round.

        A port that goes is let go of at once, since another wish may take its place.
        """
        held = sandboxes.held(before)
        wanted = sandboxes.port_wishes(after, specs, dual=has_ipv6())
        change = publishing.change([each for each in held if each not in unwanted], wanted)
        dropped = [*change.dropped, *(each for each in held if each in unwanted)]
        if dropped:
            self.host.ports.release(dropped)
            undo.callback(self._take_back, before, dropped)
        taken = self.sandboxes.port_claims.reserve(after, change.missing, undo)
        return sandboxes.with_ports(after, [*change.kept, *taken], specs)

    def _take_back(self, record: SandboxRecord, dropped: list[Forward]) -> None:
        self.host.ports.adopt(dropped)
        self.host.ports.serve(self.sandboxes.forwards(record))

    def _change(self, before: SandboxRecord, after: SandboxRecord, specs: Specs) -> DnsSockets | None:
        """Runs in a thread. What comes is there before the record, what goes after it: a crash's remains are swept."""
        plans = {each.name: each for each in sandboxes.plans(after, specs, self.catalog.prefix)}
        done: list[Attachment] = []
        sockets = None
        try:
            for entry in _gone(after, before):
                self.host.stacks.add(before.id, plans[entry.interface])
                done.append(entry)
            if after.dns and not before.dns:
                sockets = dns_sockets.open_in(Path(after.sandbox.path))
            self._rewire(before, after, specs)
            self.host.records.write(after)
        except BaseException:
            if sockets is not None:
                sockets.close()
            for entry in done:
                self.host.stacks.remove(before.id, entry)
            raise
        for entry in _gone(before, after):
            if entry.interface:
                self.host.stacks.remove(before.id, entry)
        self._rewrite(before, after, embedded=sockets is not None)
        return sockets

    def _rewire(self, before: SandboxRecord, after: SandboxRecord, specs: Specs) -> None:
        """Moves the default routes and the published ports to the gateways that are now the stack's."""
        if (after.gateway, after.gateway6) != (before.gateway, before.gateway6):
            self.host.stacks.route(after.id, sandboxes.plans(after, specs, self.catalog.prefix))
        self.host.firewall.republish(sandboxes.forwards(before, specs), sandboxes.forwards(after, specs))

    def _rewrite(self, before: SandboxRecord, after: SandboxRecord, *, embedded: bool) -> None:
        """The container's own lines of its hosts file, and its resolver when that is now the embedded one."""
        paths = after.sandbox.files
        hosts = read(Path(paths["/etc/hosts"]))
        old, new = sandboxes.addresses(before), sandboxes.addresses(after)
        for address in (each for each in old if each not in new):
            hosts = files.without_address(hosts, str(address))
        for address in (each for each in new if each not in old):
            hosts = files.append_records(hosts, [(str(address), files.told(after.own_names))])
        contents = {"hosts": hosts}
        if embedded:
            contents["resolv.conf"] = files.embedded_resolv_conf(read(Path(paths["/etc/resolv.conf"])))
        self.host.files.write(after.sandbox.container_id, contents)

    async def disconnect(self, record: SandboxRecord, spec: NetworkSpec) -> SandboxRecord:
        """The sandbox without its endpoint on the network."""
        if record.mode == "host":
            raise InvalidArgument("container cannot be disconnected from host network or connected to host network")
        entry = next((each for each in record.attachments if each.network_id == spec.id), None)
        if entry is None or entry.way_out:
            container = record.sandbox.container_id
            raise Conflict(f"container {container} is not connected to network {spec.name}")
        specs = self.sandboxes.specs(record)
        with contextlib.ExitStack() as undo:
            after = sandboxes.left(record, spec.id, specs)
            return await self._become(record, after, specs, undo, f"disconnected from network {spec.name}")

    async def publish(self, record: SandboxRecord, request: PublishRequest) -> SandboxRecord:
        """The sandbox with exactly these ports published; those that it had stay as they are, with their clients."""
        specs = self.sandboxes.specs(record)
        sandbox = msgspec.structs.replace(record.sandbox, publish=request.publish)
        after = msgspec.structs.replace(
            record, sandbox=sandbox, exposed=request.exposed, publish_all=request.publish_all
        )
        if after == record and not request.released:
            return record
        self.sandboxes.port_claims.mesh.check(after)
        with contextlib.ExitStack() as undo:
            after = self._ports(record, after, specs, undo, sandboxes.ends(request.released))
            await asyncio.to_thread(self._republish, record, after, specs)
            undo.pop_all()
        await self._changed(after)
        return after

    def _republish(self, before: SandboxRecord, after: SandboxRecord, specs: Specs) -> None:
        """Runs in a thread."""
        old, new = sandboxes.forwards(before, specs), sandboxes.forwards(after, specs)
        self.host.firewall.republish(old, new, cut=True)
        try:
            self.host.records.write(after)
        except BaseException:
            self.host.firewall.republish(new, old)
            raise

    async def _changed(self, after: SandboxRecord) -> None:
        self.sandboxes.put(after)
        self.host.ports.serve(self.sandboxes.forwards(after))
        await self.host.proxy.settled()


def _gone(before: SandboxRecord, after: SandboxRecord) -> list[Attachment]:
    """The endpoints that `after` has no more."""
    kept = {entry.endpoint_id for entry in after.attachments}
    return [entry for entry in before.attachments if entry.endpoint_id not in kept]
