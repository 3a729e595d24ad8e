"""TLS 1.3 (RFC 8446) between hosts of a cluster: each end shows a certificate of the cluster's own authority.

The files are those of `shared.cluster.folder`. They are read for each context: renewed ones count from then on.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SILENCE_SECONDS = 30
"""A peer that acknowledges nothing for so long is gone."""
_PROBES = 3


def notice_loss(connection: socket.socket) -> None:
    """Reads and writes fail when the peer is silent for `SILENCE_SECONDS`, whether something is under way or not.

    TCP_USER_TIMEOUT (RFC 5482) is for what was sent; who only reads needs probes (tcp(7)), of which the kernel's own
    first comes after two hours.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENCE_SECONDS // (_PROBES + 1))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, SILENCE_SECONDS // (_PROBES + 1))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_SECONDS * 1000)


def server(folder: Path) -> ssl.SSLContext:
    """For the end that listens; `OSError` when a file cannot be read."""
    made = _context(ssl.PROTOCOL_TLS_SERVER, folder)
    made.num_tickets = 0  # nobody resumes: what can be read on a socket is what the other end has sent
    return made


def client(folder: Path) -> ssl.SSLContext:
    """For the end that connects. Which host answered must be asked by `node_of`: names are node ids, not DNS names."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, folder)


def _context(side: ssl._SSLMethod, folder: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(side)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_verify_locations(folder / "ca.crt")
    made.load_cert_chain(folder / "node.crt", folder / "node.key")
    return made


def node_of(certificate: Mapping[str, Any] | None) -> str:
    """The node id in a verified certificate, in the form of `SSLSocket.getpeercert`; empty: none is in it."""
    subject = (certificate or {}).get("subject", ())
    return next((value for names in subject for key, value in names if key == "commonName"), "")
