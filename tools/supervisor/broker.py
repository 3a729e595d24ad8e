"""The embedded broker: its program, port, configuration."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from shared import cluster, ids
from shared.cluster import Membership
from shared.config import Settings
from tools.toolchain.parts import Version, parse_version

from . import keys

MINIMUM: Version = (2, 14)
"""Older ones cannot change remotes of a leaf node, and what else a cluster needs, while they run."""
LOG_BYTES = 8 << 20
PAYLOAD_BYTES = 8 << 20
"""Largest message: a listing of some thousand containers."""
STORE_BYTES = 16 << 30
"""Most that all streams may hold together; their own limits are far below."""

ENVIRONMENT = {"GOGC": "25"}
"""Garbage goes when the heap has grown by a quarter: Go's default, a doubling, leaves twice as much of a burst."""

ALERT = {"ping_interval": "2s", "ping_max": 2}
"""Of brokers in a cluster: a link that loses everything without a sign ends after some 6 s (the default is 6 minutes),
and another is looked for; until then what is asked over it waits."""
HANDSHAKE = 10
"""Seconds that whoever connects may take to prove who it is. In the server's default, 2, an overloaded host's processes
do not: they begin again and again, and a hub that is alone begins nothing before it has a link."""
LINK = "link"
"""The key by which a host's broker is known at the hubs (`keys.public_key`)."""

User = Mapping[str, Any]
"""One entry of `authorization.users`: nkey and permissions."""


def folder(settings: Settings) -> Path:
    """Where the broker keeps its data, port and configuration; made when missing."""
    path = settings.state_path / "broker"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def program() -> str:
    """A nats-server of at least 2.14 on the PATH, else the one of this virtual environment."""
    own = Path(sys.executable).with_name("nats-server")
    found = shutil.which("nats-server")
    if found and Path(found) != own and server_version(found) >= MINIMUM:
        return found
    return str(own)


def server_version(path: str) -> Version:
    """The version that a nats-server tells; () when it does not run."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parse_version(done.stdout)


def choose_port(settings: Settings) -> int:
    """The port as set, else the one of the last time if it is free, else a free one; kept for the services to find."""
    return keep_port(folder(settings) / "port", settings.nats_port)


def keep_port(path: Path, fixed: int = 0) -> int:
    """`fixed`, else the port that a file has if it is free, else a free one; the file has it then."""
    wanted = fixed or free_port(int(path.read_text()) if path.exists() else 0)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(f"{wanted}\n")
    os.replace(temporary, path)
    return wanted


def free_port(wanted: int) -> int:
    """`wanted` if nobody listens there on loopback, else any that is free."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


def accepts(port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def configuration(settings: Settings, port: int, users: Sequence[User]) -> dict[str, Any]:
    """The server's configuration, with a link to its cluster's hubs when this host is in one."""
    node = ids.node_id(settings.state_path)
    made = common(settings, "broker", domain=node) | {
        "server_name": f"shoal-{node}",
        "listen": f"127.0.0.1:{port}",
        "authorization": {"timeout": HANDSHAKE, "users": users},
    }
    membership = cluster.load(settings.state_path)
    if membership is None:
        return made
    return made | ALERT | {"leafnodes": {"remotes": [_link(settings, membership)]}}


def _link(settings: Settings, membership: Membership) -> dict[str, Any]:
    """To one of the hubs, whichever answers; another one when it is lost. What only this host needs stays here."""
    places = [cluster.Place.parse(hub) for hub in membership.hubs]
    return {
        "urls": [f"tls://{place.host}:{place.links}" for place in places],
        "nkey": keys.seed(settings.state_path / "keys", LINK),
        "tls": certificates(settings),
        "deny_exports": own_subjects(),
    }


def own_subjects() -> list[str]:
    """What no other host needs: spans, which each host keeps for whoever asks, and the signals by which services tell
    those of the same host; all but `started`, which callers on any host wait for.
    """
    from shared.contracts import CONTRACTS  # here: who adopts what lives needs neither
    from shared.telemetry import SPANS_SUBJECT

    signals = (event.subject for each in CONTRACTS.values() for event in each.events if not event.kept)
    return sorted((SPANS_SUBJECT, *signals))


def certificates(settings: Settings) -> dict[str, Any]:
    """This host's certificate, and the authority that others' must come from."""
    files = cluster.folder(settings.state_path)
    return {
        "cert_file": str(files / "node.crt"),
        "key_file": str(files / "node.key"),
        "ca_file": str(files / "ca.crt"),
        "verify": True,
        "timeout": HANDSHAKE,
    }


def common(settings: Settings, name: str, domain: str) -> dict[str, Any]:
    """What all brokers of a host have in common; an acknowledged write is on disk (`sync_interval: always`)."""
    return {
        "max_payload": PAYLOAD_BYTES,
        "jetstream": {
            "domain": domain,
            "store_dir": str(settings.state_path / name),
            "sync_interval": "always",
            "max_memory_store": 64 << 20,
            "max_file_store": STORE_BYTES,
        },
        "log_file": str(settings.state_path / "log" / f"{name}.log"),
        "logfile_size_limit": LOG_BYTES,
        "logfile_max_num": 2,
        "logtime_utc": True,
    }


def write_configuration(settings: Settings, port: int, users: Sequence[User]) -> Path:
    """Writes the configuration, readable by root only."""
    path = folder(settings) / "nats.json"
    cluster.write(path, msgspec.json.format(msgspec.json.encode(configuration(settings, port, users))))
    return path
