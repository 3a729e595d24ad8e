"""Contract of the scheduler: the hosts of a cluster, and who may join it."""

from __future__ import annotations

from typing import Literal

from shared.contracts.base import AGREED, Contract, Empty, Endpoint, Keys, Message
from shared.contracts.common import Platform
from shared.contracts.container import ContainerSpec
from shared.contracts.executor import CreateReply, CreateRequest
from shared.errors import (
    AlreadyExists,
    Conflict,
    DataLoss,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    NotImplementedYet,
    PermissionDenied,
    Unavailable,
    Unknown,
)

Availability = Literal["active", "pause", "drain"]


class NodeRecord(Message, frozen=True):
    """Record `nodes.<id>`: a host of the cluster. `address` is its place (`host:port`); `joined` in nanoseconds.

    `labels` and `availability` are the operator's: `active` takes new containers, `pause` and `drain` do not. The rest
    is what the host says of itself: `engine_labels`, `memory` in bytes and `cpus` in billionths of one, what its
    containers may reserve; `emulated`: architectures that it can run besides its own. Made when the host is let in;
    with it gone, the host is out. `role`: a `hub` runs one that has what is agreed on. `link` and `pin`: what hubs know
    it by, see `shared.cluster.Member`. `leaving`: it is to be removed, and runs no hub any more as soon as another has
    what it has.
    """

    id: str
    name: str
    role: Literal["hub", "leaf"]
    address: str
    joined: int
    labels: dict[str, str] = {}
    availability: Availability = "active"
    engine_labels: dict[str, str] = {}
    memory: int = 0
    cpus: int = 0
    os: str = "linux"
    architecture: str = "amd64"
    emulated: tuple[str, ...] = ()
    version: str = ""
    link: str = ""
    pin: str = ""
    leaving: bool = False


class HubsRecord(Message, frozen=True):
    """Record `hubs.all`: the hosts that are to run a hub (node ids), and what each hub is called.

    A host that was one and becomes one again gets another name: the other hubs remember who was removed.
    """

    hubs: dict[str, str] = {}


class TokenRecord(Message, frozen=True):
    """Record `tokens.<SHA-256 of the secret>`: who knows the secret may join until `expires` (nanoseconds).

    `once`: the first who joins uses it up. `by`: the node that it was made on, and goes with.
    """

    expires: int
    once: bool = True
    by: str = ""


class HostLease(Message, frozen=True):
    """Record `host_leases.<id>`: a host that renews it (writes it again) is there.

    `lost_by`: the host that found it silent for too long, and from then on its movable containers are others'; the
    host itself writes over that when it is back.
    """

    node: str
    lost_by: str = ""


NODES = Keys("nodes.*", NodeRecord, bucket=AGREED)
HUBS = Keys("hubs.*", HubsRecord, bucket=AGREED)
HOST_LEASES = Keys("host_leases.*", HostLease, bucket=AGREED)
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


class UpdateRequest(Message, frozen=True):
    """What an operator says of a host, named by name or id; what is not given stays."""

    node: str
    labels: dict[str, str] = {}
    without: tuple[str, ...] = ()
    availability: Availability | None = None


class RemoveNodeRequest(Message, frozen=True):
    """A host by name or id. `force`: though it is not drained, has containers, or is not there."""

    node: str
    force: bool = False


class CreatedReply(CreateReply, frozen=True, kw_only=True):
    """`node`: the host that has the container; `revision` is of its records."""

    node: str


class ChooseRequest(Message, frozen=True):
    """A container that exists, as `spec`, is to go to another host than those `without`; its own volumes come along."""

    spec: ContainerSpec
    without: tuple[str, ...] = ()


class ChooseReply(Message, frozen=True):
    node: str


class BringRequest(Message, frozen=True):
    """An image, `reference` as in `image_store.resolve`, is to be on this host; `platform`: only one for it."""

    reference: str
    platform: Platform | None = None


class BringReply(Message, frozen=True):
    """`image_id`: by its name another host may mean another image."""

    image_id: str


class JoinRequest(Message, frozen=True):
    """What a newcomer sends, not over the bus but by TLS to a hub's place: one line of JSON, answered by one.

    `request`: its signing request (PEM). `link`: the public nkey of its broker. `secret`: the token's; without one, a
    host asks whether it still is in: the answer has the cluster, or `removed`.
    """

    node: str
    secret: str = ""
    name: str = ""
    address: str = ""
    request: str = ""
    link: str = ""


class JoinReply(Message, frozen=True):
    """`error` empty: the host is in, and these are its certificate, the authority's, and its membership."""

    error: str = ""
    removed: bool = False
    certificate: str = ""
    authority: str = ""
    cluster: str = ""
    hubs: tuple[str, ...] = ()


class AuthorityRequest(Message, frozen=True):
    """What a host asks that is to run a hub. `request`: a signing request (PEM) by the key it is known by."""

    node: str
    request: str


class AuthorityReply(Message, frozen=True):
    """The authority's key, sealed for who asked (`shared.pki.seal`)."""

    sealed: bytes


class RenewRequest(Message, frozen=True):
    """What a host asks whose certificate grows old. `request`: a signing request (PEM) by the key it is known by."""

    node: str
    request: str


class RenewReply(Message, frozen=True):
    """The new certificate (PEM)."""

    certificate: str


CREATE = Endpoint(
    "scheduler.create",
    CreateRequest,
    CreatedReply,
    (AlreadyExists, Conflict, FailedPrecondition, InvalidArgument, NotFound, NotImplementedYet, Unavailable),
    timeout=0,
)
"""Chooses a host, brings the image there when it has not got it, makes the container. `FailedPrecondition` says why no
host is suitable."""
CHOOSE = Endpoint(
    "scheduler.choose", ChooseRequest, ChooseReply, (FailedPrecondition, InvalidArgument, NotFound, Unavailable)
)
"""The host that it would be made on now; nothing is reserved."""
BRING = Endpoint(
    "scheduler.bring",
    BringRequest,
    BringReply,
    (NotFound, Conflict, InvalidArgument, DataLoss, Unknown, Unavailable),
    idempotent=True,
    timeout=0,
)
"""As this host knows the image, else as the others do; no registry is asked. It is here when this returns, under the
names that it has elsewhere. `NotFound` when no host has it, `Conflict` when others mean different images."""
TOKEN = Endpoint("scheduler.token", TokenRequest, TokenReply, (FailedPrecondition, InvalidArgument))
LIST = Endpoint("scheduler.nodes", Empty, NodesReply, (Unavailable,), idempotent=True)
UPDATE = Endpoint("scheduler.update", UpdateRequest, NodeRecord, (NotFound, InvalidArgument, Conflict, Unavailable))
"""`labels` are added, `without` removed; the record as it is now."""
REMOVE = Endpoint(
    "scheduler.remove",
    RemoveNodeRequest,
    NodeRecord,
    (NotFound, InvalidArgument, FailedPrecondition, Conflict, Unavailable),
    timeout=60,
)
"""The host is out when this returns: not let in any more, its names and tokens gone. Its record as it was."""
AUTHORITY = Endpoint(
    "scheduler.authority", AuthorityRequest, AuthorityReply, (PermissionDenied, InvalidArgument, Unavailable), timeout=5
)
"""Hubs only: the key by which certificates are issued, for a host that is to be a hub and proves to be that host."""
RENEW = Endpoint(
    "scheduler.renew", RenewRequest, RenewReply, (PermissionDenied, InvalidArgument, Unavailable), timeout=5
)
"""Hubs only: a new certificate for the key that a host is known by."""
HERE = Endpoint("scheduler.here", Empty, Empty, idempotent=True, timeout=2)

CONTRACT = Contract(
    name="scheduler",
    version="v1",
    summary="The hosts of a cluster: who is in it, who may join, where a container goes. Runs on its hosts only.",
    endpoints=(CREATE, CHOOSE, BRING, TOKEN, LIST, UPDATE, REMOVE, AUTHORITY, RENEW, HERE),
    owns=(NODES, HUBS, TOKENS, HOST_LEASES),
    keeps_agreed=True,
    reads=("containers.*", "volumes.*", "networks.*", "references.*"),
    reads_agreed=("movable.*", "migrations.*", "cluster_networks.*"),
    calls=(
        "scheduler.here",
        "scheduler.authority",
        "scheduler.renew",
        "platform.host",
        "image_store.resolve",
        "image_store.fetch",
        "executor.create",
        "executor.forget_host",
        "executor.take",
        "executor.settle",
    ),
)
