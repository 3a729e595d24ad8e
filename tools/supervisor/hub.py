"""The hub broker: on up to five hosts of a cluster, keeping what all hosts agree on.

With fewer than three there is one, alone (two could lose none); three or more are one NATS cluster and replicate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from shared import cluster, ids
from shared.cluster import HUB_DOMAIN, Membership, Place
from shared.config import Settings

from . import keys
from .broker import LINK_USER, certificates, common

NAME = "hub"
REPLICATE_FROM = 3


def configuration(settings: Settings, membership: Membership) -> dict[str, Any]:
    """The server's configuration: links of hosts that the cluster's authority has certified are taken, no clients."""
    own = Place.parse(membership.address)
    secured = certificates(settings)
    operator = keys.public_key(settings.state_path / "keys", NAME)
    made = common(settings, NAME, domain=HUB_DOMAIN) | {
        "server_name": f"hub-{ids.node_id(settings.state_path)}",
        "listen": "127.0.0.1:-1",
        "authorization": {"users": [{"nkey": operator}]},
        "leafnodes": {
            "listen": f"{own.host}:{own.links}",
            "tls": secured,
            "authorization": {"user": LINK_USER, "password": membership.secret},
        },
    }
    if len(membership.hubs) < REPLICATE_FROM:
        return made
    others = [Place.parse(hub) for hub in membership.hubs]
    routes = [f"tls://{place.host}:{place.routes}" for place in others]
    named = {"name": membership.cluster, "listen": f"{own.host}:{own.routes}", "routes": routes, "tls": secured}
    return made | {"cluster": named}


def write_configuration(settings: Settings, membership: Membership) -> Path:
    """Writes the configuration, readable by root only."""
    path = settings.state_path / NAME / "nats.json"
    cluster.write(path, msgspec.json.format(msgspec.json.encode(configuration(settings, membership))))
    return path
