"""The embedded DNS: each sandbox on a user-defined network has a server at 127.0.0.11."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path

from shared.contracts.network import EndpointRecord

from .adapters import dns_server, dns_sockets
from .adapters.dns_server import DnsServer
from .adapters.dns_sockets import DnsSockets
from .adapters.host_files import host_nameservers
from .adapters.proxy import Proxy
from .domain import dns
from .domain.dns import Query
from .domain.resolution import Directory
from .domain.sandboxes import SandboxRecord

log = logging.getLogger(__name__)

MOST_KEPT = 32
"""Answers kept for one sandbox; then all of its are forgotten."""
LONGEST_KEPT = 128
"""Bytes of a question whose answer is kept."""


class Resolver:
    """Servers of all sandboxes, and the names they answer with."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._directory = Directory()
        self._records: dict[str, SandboxRecord] = {}
        self._servers: dict[str, DnsServer] = {}
        self._kept: dict[str, dict[bytes, bytes]] = {}
        """By container: answers as sent, by questions as heard, both without ids; none whose addresses take turns."""

    def add(self, record: SandboxRecord) -> None:
        """Makes a sandbox's names known; one that was known by others forgets them."""
        self._forget(record.sandbox.container_id)
        self._records[record.sandbox.container_id] = record
        self._directory.add(record)
        self._kept.clear()

    def peer(self, before: EndpointRecord | None, after: EndpointRecord | None) -> None:
        """An endpoint on another host has come (`after`), gone (`before`) or changed."""
        if before is not None:
            self._directory.remove_peer(before)
        if after is not None:
            self._directory.add_peer(after)
        self._kept.clear()

    def serve(self, record: SandboxRecord, sockets: DnsSockets) -> None:
        """Answers a sandbox that `add` made known."""
        container = record.sandbox.container_id
        self._servers[container] = DnsServer(
            sockets,
            lambda message, tcp: self._answer(container, message, tcp),
            lambda message: self._at_once(container, message),
        )
        self._proxy.hold(_name(container), (sockets.datagrams, sockets.connections))

    async def resume(self, record: SandboxRecord) -> None:
        """Answers a sandbox again after a restart."""
        if not record.dns:
            return
        try:
            kept = self._proxy.found(_name(record.sandbox.container_id))
            sockets = DnsSockets(*kept) if kept else await self._open_again(record)
            self.serve(record, sockets)
        except OSError as error:
            log.warning("sandbox %s has no DNS any more: %s", record.id, error)

    async def _open_again(self, record: SandboxRecord) -> DnsSockets:
        return await asyncio.to_thread(dns_sockets.open_again, Path(record.sandbox.path))

    def remove(self, container_id: str) -> None:
        """Ends a sandbox's server and forgets its names."""
        server = self._servers.pop(container_id, None)
        if server is not None:
            self._proxy.drop(_name(container_id))
            server.close()
        self._forget(container_id)

    def serves(self, container_id: str) -> bool:
        """Whether the sandbox has a server."""
        return container_id in self._servers

    def close(self) -> None:
        """What is asked from now on waits for the next service."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    def _forget(self, container_id: str) -> None:
        known = self._records.pop(container_id, None)
        if known is not None:
            self._directory.remove(known)
            self._kept.clear()

    def _at_once(self, container_id: str, message: bytes) -> bytes | None:
        """What needs nobody else: names of our networks."""
        kept = self._kept.setdefault(container_id, {})
        answer = kept.get(message[2:])
        if answer is not None:
            return message[:2] + answer
        record = self._records.get(container_id)
        try:
            query = dns.parse(message)
        except ValueError:
            return None
        known = None if record is None else self._known(record, query, query.largest)
        if known is not None and len(message) <= LONGEST_KEPT and not dns.has_several(known):
            if len(kept) >= MOST_KEPT:
                kept.clear()
            kept[message[2:]] = known[2:]
        return known

    async def _answer(self, container_id: str, message: bytes, tcp: bool) -> bytes:
        """Names of our networks are answered here, all else by the servers that the container would have asked."""
        try:
            query = dns.parse(message)
        except ValueError:
            return dns.malformed(message)
        record = self._records.get(container_id)
        if record is None:
            return dns.refuse(query, dns.SERVFAIL)
        known = self._known(record, query, dns_server.LARGEST if tcp else query.largest)
        if known is not None:
            return known
        if record.dots and "." not in query.name and query.kind in (dns.A, dns.AAAA):
            return dns.refuse(query, dns.NOERROR)  # with ndots set, the client comes again with a search domain
        if not record.open:  # a stack without a way out gets no names from there
            return dns.refuse(query, dns.SERVFAIL)
        if record.nameservers:  # perhaps the container reaches them, and the host does not
            made = partial(dns_sockets.upstream_in, Path(record.sandbox.path))
            reply = await dns_server.forward(message, record.nameservers, tcp, made)
        else:
            reply = await dns_server.forward(message, host_nameservers(), tcp)
        return reply or dns.refuse(query, dns.SERVFAIL)

    def _known(self, record: SandboxRecord, query: Query, largest: int) -> bytes | None:
        if query.kind == dns.PTR:
            address = dns.pointed_at(query.name)
            name = self._directory.name_of(record, address) if address else ""
            return dns.answer_pointer(query, name) if dns.is_name(name) else None
        addresses = self._directory.find(record, query.name)
        return None if addresses is None else dns.answer_addresses(query, addresses, largest)


def _name(container_id: str) -> str:
    """What the proxy knows a sandbox's sockets by."""
    return f"dns {container_id}"
