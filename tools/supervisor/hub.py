"""The hub broker: on up to five hosts of a cluster, keeping what all hosts agree on.

Hubs are one NATS cluster, also when there is only one: then servers are added and removed while it runs. Who is let in
is known by key: links by the nkey of the host's broker, routes of other hubs by the key of the host's certificate. A
certificate alone, even one that the authority has issued, opens nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from shared import cluster
from shared.cluster import HUB_DOMAIN, Member, Membership, Place
from shared.config import Settings

from . import broker, keys
from .broker import ALERT, HANDSHAKE, certificates, common

NAME = "hub"


def folder(settings: Settings) -> Path:
    """Where a hub keeps what is agreed on, its port and configuration."""
    return settings.state_path / NAME


def configuration(settings: Settings, membership: Membership, members: Sequence[Member], port: int) -> dict[str, Any]:
    """The server's configuration. Its only client is its operator, of the system account, on loopback."""
    own = Place.parse(membership.address)
    places = [Place.parse(hub) for hub in membership.hubs]
    secured = certificates(settings)
    return (
        common(settings, NAME, domain=HUB_DOMAIN)
        | ALERT
        | {
            "server_name": membership.hub,
            "listen": f"127.0.0.1:{port}",
            "accounts": {"$SYS": {"users": [{"nkey": keys.public_key(settings.state_path / "keys", NAME)}]}},
            "authorization": {"timeout": HANDSHAKE, "users": [{"nkey": member.link} for member in members]},
            "leafnodes": {"listen": f"{own.host}:{own.links}", "tls": secured},
            "cluster": {
                "name": membership.cluster,
                "listen": f"{own.host}:{own.routes}",
                "routes": [f"tls://{place.host}:{place.routes}" for place in places],
                "tls": secured | {"pinned_certs": [member.pin for member in members if member.hub]},
            },
        }
    )


def write_configuration(settings: Settings, membership: Membership, port: int) -> bool:
    """Writes the configuration, readable by root only; whether it has changed."""
    path, members = folder(settings) / "nats.json", cluster.members(settings.state_path)
    content = msgspec.json.format(msgspec.json.encode(configuration(settings, membership, members, port)))
    if path.exists() and path.read_bytes() == content:
        return False
    cluster.write(path, content)
    return True


def prepare(settings: Settings, membership: Membership) -> Path:
    """What a hub needs to start; what one of another name has left is removed: others know it as gone."""
    path = folder(settings)
    if not is_of(path, membership.hub):
        remove(settings)
        cluster.write(path / "name", membership.hub.encode())
    write_configuration(settings, membership, broker.keep_port(path / "port"))
    return path / "nats.json"


def is_of(path: Path, name: str) -> bool:
    """Whether a folder is that of the hub of this name."""
    return (path / "name").exists() and (path / "name").read_text() == name


def remove(settings: Settings) -> None:
    """Forgets all that the hub of this host has kept."""
    shutil.rmtree(folder(settings), ignore_errors=True)
