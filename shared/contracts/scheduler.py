"""Contract of the scheduler: the hosts of a cluster, and who may join it."""

from __future__ import annotations

from typing import Literal

from shared.contracts.base import AGREED, Contract, Empty, Endpoint, Keys, Message
from shared.errors import FailedPrecondition, InvalidArgument, Unavailable


class NodeRecord(Message, frozen=True):
    """Record `nodes.<id>`: a host of the cluster. `address` is its place (`host:port`); `joined` in nanoseconds."""

    id: str
    name: str
    role: Literal["hub", "leaf"]
    address: str
    joined: int


class TokenRecord(Message, frozen=True):
    """Record `tokens.<SHA-256 of the secret>`: who knows the secret may join until `expires` (nanoseconds).

    `once`: the first who joins uses it up.
    """

    expires: int
    once: bool = True


NODES = Keys("nodes.*", NodeRecord, bucket=AGREED)
TOKENS = Keys("tokens.*", TokenRecord, bucket=AGREED)


class TokenRequest(Message, frozen=True):
    """`seconds` until it expires."""

    seconds: int = 3600
    once: bool = True


class TokenReply(Message, frozen=True):
    """`place`: where to join with it."""

    token: str
    place: str


class Node(Message, frozen=True):
    """A host as seen now: `ready` when it answers."""

    record: NodeRecord
    ready: bool = False


class NodesReply(Message, frozen=True):
    nodes: tuple[Node, ...] = ()


class JoinRequest(Message, frozen=True):
    """What a newcomer sends, not over the bus but by TLS to a hub's place: one line of JSON, answered by one.

    `request`: its signing request (PEM). `secret`: the token's.
    """

    secret: str
    node: str
    name: str
    address: str
    request: str


class JoinReply(Message, frozen=True):
    """`error` empty: the host is in, and these are its certificate, the authority's, and its membership."""

    error: str = ""
    certificate: str = ""
    authority: str = ""
    cluster: str = ""
    hubs: tuple[str, ...] = ()
    secret: str = ""


TOKEN = Endpoint("scheduler.token", TokenRequest, TokenReply, (FailedPrecondition, InvalidArgument))
LIST = Endpoint("scheduler.nodes", Empty, NodesReply, (Unavailable,), idempotent=True)
HERE = Endpoint("scheduler.here", Empty, Empty, idempotent=True, timeout=2)

CONTRACT = Contract(
    name="scheduler",
    version="v1",
    summary="The hosts of a cluster: who is in it, who may join. Runs on hosts that are in one.",
    endpoints=(TOKEN, LIST, HERE),
    owns=(NODES, TOKENS),
    calls=("scheduler.here",),
)
