"""The files of a host that a cluster's authority has certified."""

from __future__ import annotations

from pathlib import Path

from shared import cluster, pki
from shared.clock import now_ns
from shared.joining import Token


def certify(files: Path, node: str = "node1", by: pki.Identity | None = None) -> Token:
    """Writes them to a folder; a token of the cluster."""
    authority, key = by or pki.authority("c1", now_ns()), pki.new_key()
    cluster.write(files / "ca.crt", authority.certificate)
    cluster.write(files / "ca.key", authority.key)
    cluster.write(files / "node.key", key)
    cluster.write(files / "node.crt", pki.issue(authority, pki.request(key), node, "127.0.0.1", now_ns()))
    return Token.new(pki.fingerprint(authority.certificate))
