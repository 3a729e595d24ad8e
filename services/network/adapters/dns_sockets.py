"""The embedded DNS server's sockets inside sandboxes: 127.0.0.11, port 53 for the container.

The sockets are bound to another port, to which the sandbox's own rule leads, so that a container may itself serve
on port 53 of all its addresses.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from pathlib import Path

from ..domain.files import EMBEDDED_DNS
from . import namespaces
from .nftables import Nftables

PORT = 61053
"""Above the ports that a host gives out by itself, and the same after a restart of the service."""
_TABLE = "shoal_dns"
_RULES = f"""\
table ip {_TABLE} {{
	chain output {{
		type nat hook output priority -100; policy accept;
		ip daddr {EMBEDDED_DNS} udp dport 53 dnat to :{PORT}
		ip daddr {EMBEDDED_DNS} tcp dport 53 dnat to :{PORT}
	}}
}}
"""
_BACKLOG = 64


@dataclass(frozen=True)
class DnsSockets:
    """Both of one sandbox, not blocking."""

    datagrams: socket.socket
    connections: socket.socket

    def close(self) -> None:
        self.datagrams.close()
        self.connections.close()


def open_in(path: Path) -> DnsSockets:
    """Sockets and rule in the pinned namespace, which has neither. Raises `OSError`, `Internal`."""
    return namespaces.inside(path, lambda: _open(_RULES))


def open_again(path: Path) -> DnsSockets:
    """Sockets in a namespace that has the rule from before a restart. Raises `OSError`."""
    return namespaces.inside(path, lambda: _open(""))


async def upstream(family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    """A socket to ask another server with, from the host."""
    return socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)


async def upstream_in(path: Path, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    """The same from inside the pinned namespace. Raises `OSError` when that is gone."""
    flags = kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    return await asyncio.to_thread(namespaces.inside, path, lambda: socket.socket(family, flags))


def _open(rules: str) -> DnsSockets:
    with contextlib.ExitStack() as undo:
        datagrams = undo.enter_context(_bound(socket.SOCK_DGRAM))
        connections = undo.enter_context(_bound(socket.SOCK_STREAM))
        connections.listen(_BACKLOG)
        if rules:
            Nftables().run(rules)
        undo.pop_all()
    return DnsSockets(datagrams, connections)


def _bound(kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((EMBEDDED_DNS, PORT))
    except OSError:
        made.close()
        raise
    return made
