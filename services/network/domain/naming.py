"""Names of what the service makes: interfaces, record keys."""

from __future__ import annotations

import re

_NAMESPACE_NAME = 12
_VETH_PART = 8


def bridge_interface(prefix: str, network_id: str) -> str:
    """The bridge of a user-defined network, at most 15 characters."""
    return f"{prefix}-{network_id[:10]}"


def uplink(prefix: str, network_id: str) -> str:
    """The port of such a bridge that leads to other hosts."""
    return f"{prefix}-{network_id[:9]}x"


def tunnel(prefix: str) -> str:
    """The host's interface by which packets of encrypted networks leave."""
    return f"{prefix}-tunnel"


def mesh(prefix: str) -> str:
    """The host's interface by which clients of ports of other hosts' containers are passed on."""
    return f"{prefix}-mesh"


def veth(prefix: str, sandbox_id: str, index: int) -> str:
    """The host's end of a sandbox's interface number `index`."""
    return f"{prefix}{sandbox_id[:_VETH_PART]}{index:x}"


def mark(prefix: str, network_id: str) -> str:
    """What the alias of a host's interface says when it was made for a network."""
    return f"{prefix}:{network_id}"


def is_marked(prefix: str, alias: str) -> bool:
    """Whether an interface was made for a network of this engine."""
    return alias.startswith(f"{prefix}:")


def is_veth(prefix: str, name: str) -> bool:
    """Whether an interface of the host is one of this engine's veth ends."""
    rest = name.removeprefix(prefix)
    return name.startswith(prefix) and re.fullmatch(r"[0-9a-f]{9,10}", rest) is not None


def namespace_file(sandbox_id: str) -> str:
    """Name of the file that pins a sandbox's network namespace (Docker's SandboxKey has the same form)."""
    return sandbox_id[:_NAMESPACE_NAME]


def name_key(node: str, name: str) -> str:
    """Part of the key that holds a network's name: networks of a host are named apart from those of another."""
    return f"{node}/{name}"
