"""Running containers that come to a network or leave it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from shared.contracts.container import EndpointSettings
from shared.contracts.network import NetworkSpec
from shared.errors import Conflict, FailedPrecondition, PermissionDenied

from .adapters import dns_sockets
from .adapters.dns_sockets import DnsSockets
from .adapters.host_files import read
from .catalog import Catalog
from .domain import files, resolution, sandboxes
from .domain.sandboxes import Attachment, SandboxRecord
from .sandboxes import Host, Sandboxes


@dataclass(frozen=True)
class Membership:
    """Changes a sandbox that is in use. One at a time for each container: the caller sees to that."""

    catalog: Catalog
    host: Host
    sandboxes: Sandboxes

    async def connect(self, record: SandboxRecord, spec: NetworkSpec, wish: EndpointSettings) -> SandboxRecord:
        """The sandbox with an endpoint on the network; a failure leaves it as it was."""
        sandboxes.check_connect(record, spec)
        with self.sandboxes.using([spec.id]), contextlib.ExitStack() as undo:
            entry = self.sandboxes.attach(spec, wish, sandboxes.free_interface(record), undo)
            hostname = record.own_names.partition(" ")[2] or record.own_names
            names = sandboxes.dns_names(record.sandbox.container_id, record.container_name, wish, hostname)
            shown = sandboxes.settings(spec, entry, wish, names)
            after = sandboxes.joined(record, entry, shown, self._specs(record, spec))
            after = msgspec.structs.replace(after, dns=record.dns or resolution.needs_dns([spec.name]))
            try:
                sockets = await asyncio.to_thread(self._join, record, after, entry)
            except OSError as error:
                raise FailedPrecondition(f"container cannot be connected to network {spec.name}: {error}") from error
            undo.pop_all()
        self._changed(after)
        if sockets is not None:
            self.sandboxes.resolver.serve(after, sockets)
        return after

    def _specs(self, record: SandboxRecord, *more: NetworkSpec) -> dict[str, NetworkSpec]:
        ids = {entry.network_id for entry in record.attachments}
        return {spec.id: spec for spec in (*map(self.catalog.find, ids), *more)}

    def _join(self, before: SandboxRecord, after: SandboxRecord, entry: Attachment) -> DnsSockets | None:
        """Runs in a thread."""
        specs = self._specs(after)
        wanted = {each.name: each for each in sandboxes.interfaces(after, specs)}
        self.host.stacks.add(before.id, wanted[entry.interface])
        sockets = None
        try:
            if after.dns and not before.dns:
                sockets = dns_sockets.open_in(Path(after.sandbox.path))
            self._rewire(before, after)
            self.host.records.write(after)
        except BaseException:
            if sockets is not None:
                sockets.close()
            self.host.stacks.remove(before.id, entry.interface)
            raise
        self._rewrite(after, added=entry, embedded=sockets is not None)
        return sockets

    def _rewire(self, before: SandboxRecord, after: SandboxRecord) -> None:
        """Moves the default route and the published ports to the gateway that is now the stack's."""
        if after.gateway == before.gateway:
            return
        self.sandboxes.unpublish(before)
        for interface in sandboxes.interfaces(after, self._specs(after)):
            if interface.route is not None:
                self.host.stacks.route(after.id, interface)
        self.host.firewall.publish(sandboxes.forwards(after))

    def _rewrite(
        self,
        record: SandboxRecord,
        *,
        added: Attachment | None = None,
        gone: Attachment | None = None,
        embedded: bool = False,
    ) -> None:
        """The container's own lines of its hosts file, and its resolver when that is now the embedded one."""
        paths = record.sandbox.files
        hosts = read(Path(paths["/etc/hosts"]))
        if gone is not None:
            hosts = files.without_address(hosts, str(gone.ip))
        if added is not None:
            hosts = files.append_records(hosts, [(str(added.ip), record.own_names)])
        contents = {"hosts": hosts}
        if embedded:
            contents["resolv.conf"] = files.embedded_resolv_conf(read(Path(paths["/etc/resolv.conf"])))
        self.host.files.write(record.sandbox.container_id, contents)

    async def disconnect(self, record: SandboxRecord, spec: NetworkSpec) -> SandboxRecord:
        """The sandbox without its endpoint on the network."""
        if record.mode == "host":
            raise PermissionDenied("container cannot be disconnected from host network or connected to host network")
        entry = next((each for each in record.attachments if each.network_id == spec.id), None)
        if entry is None:
            container = record.sandbox.container_id
            raise Conflict(f"container {container} is not connected to network {spec.name}")
        after = sandboxes.left(record, spec.id, self._specs(record))
        await asyncio.to_thread(self._leave, record, after, entry)
        self.sandboxes.free(entry)
        self._changed(after)
        return after

    def _leave(self, before: SandboxRecord, after: SandboxRecord, entry: Attachment) -> None:
        """Runs in a thread. The record goes first: what it does not have is swept after a crash."""
        self.host.records.write(after)
        if entry.interface:
            self.host.stacks.remove(before.id, entry.interface)
            self._rewire(before, after)
            self._rewrite(after, gone=entry)

    def _changed(self, after: SandboxRecord) -> None:
        self.host.ports.retarget(sandboxes.forwards(after))
        self.sandboxes.put(after)
