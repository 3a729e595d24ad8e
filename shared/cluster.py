"""Whether this host is in a cluster: what it keeps of its membership in `<state_dir>/cluster`.

membership.json   which cluster, what this host is in it, where the hubs are
members.json      on hubs: the hosts that are let in
ca.crt            the cluster's authority; ca.key on hubs only
node.crt node.key this host's certificate
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from shared.errors import DataLoss, InvalidArgument

DEFAULT_PORT = 7377
_PLACE = re.compile(r"(?P<host>[A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(:(?P<port>[0-9]{1,5}))?")

HUB_DOMAIN = "hub"
"""JetStream domain of the hubs: what must be unique or agreed on in the cluster is kept there."""


class Place(NamedTuple):
    """Where a host is found by others: `host` and the first of three ports in a row."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, port: int = DEFAULT_PORT) -> Place:
        """`host`, `host:port` or `[IPv6]:port`; `InvalidArgument` for anything else."""
        found = _PLACE.fullmatch(text)
        if found is None or not 0 < int(found["port"] or port) <= 65533:
            raise InvalidArgument(f"no address of a host: {text!r}; expected HOST or HOST:PORT")
        return cls(found["host"], int(found["port"] or port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def links(self) -> int:
        """Here a hub's broker takes links of other hosts' brokers; at `port` itself newcomers join."""
        return self.port + 1

    @property
    def routes(self) -> int:
        """Here the brokers of hubs speak with each other."""
        return self.port + 2


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """One host's place in its cluster.

    Hubs are hosts that run a hub broker as well, called `hub` there (on others it is empty); `address` and `hubs` are
    places (`host:port`).
    """

    cluster: str
    address: str
    hubs: tuple[str, ...]
    hub: str = ""

    @property
    def role(self) -> Literal["hub", "leaf"]:
        return "hub" if self.hub else "leaf"


class Member(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """What a hub's broker knows another host by: the public nkey that its broker links with, and the SHA-256 of its
    certificate's public key (hexadecimal). `hub`: it runs one, too.
    """

    id: str
    link: str
    pin: str
    hub: bool = False


class Peer(NamedTuple):
    """A server of the hubs' group; `name` is empty where who tells it has not heard it since its own last start."""

    id: str
    name: str


def new_hub(node: str) -> str:
    """A name for the hub of a host, which no hub has had."""
    return f"hub-{node}-{secrets.token_hex(4)}"


def folder(state_path: Path) -> Path:
    """Where it is kept."""
    return state_path / "cluster"


def load(state_path: Path) -> Membership | None:
    """This host's membership; None when it is in no cluster. `DataLoss` when it cannot be read."""
    path = folder(state_path) / "membership.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Membership)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise DataLoss(f"{path}: {error}") from None


def role(state_path: Path) -> str:
    """What this host is in its cluster, `hub` or `leaf`; empty when it is in none."""
    membership = load(state_path)
    return membership.role if membership else ""


def save(state_path: Path, membership: Membership) -> None:
    """Keeps a membership; on disk when this returns. Certificates must be there before."""
    write(folder(state_path) / "membership.json", msgspec.json.format(msgspec.json.encode(membership)))


def save_members(state_path: Path, members: Iterable[Member]) -> bool:
    """Keeps who is let in by the hub of this host; whether that has changed."""
    path, content = folder(state_path) / "members.json", msgspec.json.encode(sorted(members))
    if path.exists() and path.read_bytes() == content:
        return False
    write(path, content)
    return True


def members(state_path: Path) -> tuple[Member, ...]:
    """Who is let in by the hub of this host. `DataLoss` when it cannot be read."""
    path = folder(state_path) / "members.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[Member, ...])
    except FileNotFoundError:
        return ()
    except msgspec.DecodeError as error:
        raise DataLoss(f"{path}: {error}") from None


def forget(state_path: Path) -> None:
    """Leaves the cluster: the membership goes first."""
    for name in ("membership.json", "members.json", "node.crt", "node.key", "ca.key", "ca.crt"):
        (folder(state_path) / name).unlink(missing_ok=True)


def write(path: Path, content: bytes) -> None:
    """Replaces a file that only root may read, synced."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
