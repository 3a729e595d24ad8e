"""Identifiers, unique across hosts."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

SHORT = 12
"""Characters of an identifier that Docker shows to people."""


def new_id() -> str:
    """256 random bits as 64 lower-case hexadecimal digits: container, exec, network, endpoint."""
    return secrets.token_hex(32)


def new_token() -> str:
    """128 random bits, for stream tickets and request ids; safe inside a NATS subject."""
    return secrets.token_hex(16)


def node_id(state_dir: Path) -> str:
    """This host's identifier (25 characters, as Swarm's), made on first use and kept in the state folder."""
    path = state_dir / "node-id"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
    fresh = "".join(secrets.choice(alphabet) for _ in range(25))
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o710)
    temporary = path.with_name(f".node-id.{os.getpid()}")
    with open(temporary, "w") as file:
        file.write(fresh)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)  # the first of several starters wins
    except FileExistsError:
        pass
    finally:
        os.unlink(temporary)
    return path.read_text().strip()
