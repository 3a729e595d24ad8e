"""TLS 1.3 (RFC 8446) between hosts of a cluster: each end shows a certificate of the cluster's own authority.

The files are those of `shared.cluster.folder`. They are read for each context: renewed ones count from then on.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any


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
