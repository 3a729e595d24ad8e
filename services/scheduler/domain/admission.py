"""Whether a newcomer may join; what operators say of hosts."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from shared.cluster import Place
from shared.contracts.common import Platform
from shared.contracts.scheduler import JoinRequest, NodeRecord, TokenRecord, UpdateRequest
from shared.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Unauthenticated

_NODE = re.compile(r"[a-z0-9]{25}")
_LINK = re.compile(r"U[A-Z2-7]{55}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
LONGEST_SECONDS = 30 * 86400


def check_request(request: JoinRequest, nodes: Iterable[NodeRecord]) -> None:
    """Raises `InvalidArgument` for what no host is called, `AlreadyExists` where another host has its name."""
    if not _NODE.fullmatch(request.node):
        raise InvalidArgument(f"no node id: {request.node!r}")
    if not _NAME.fullmatch(request.name):
        raise InvalidArgument(f"no name of a host: {request.name!r}; set node_name (SHOAL_NODE_NAME)")
    Place.parse(request.address)
    if not _LINK.fullmatch(request.link):
        raise InvalidArgument(f"no public key of a user (nkey): {request.link!r}")
    for known in nodes:
        if known.name == request.name and known.id != request.node:
            raise AlreadyExists(f"the cluster has a host named {known.name} already ({known.id}); set node_name")


def check_token(token: TokenRecord | None, now: int) -> None:
    """Raises `Unauthenticated` for a secret that is unknown, used up or has expired: which one is not told."""
    if token is None or now >= token.expires:
        raise Unauthenticated("this token is not known, was used, or has expired; make one: shoal cluster token")


def check_life(seconds: int) -> None:
    """How long a token may be good."""
    if not 0 < seconds <= LONGEST_SECONDS:
        raise InvalidArgument(f"a token is good for 1 to {LONGEST_SECONDS} seconds, not {seconds}")


def named(reference: str, nodes: Iterable[NodeRecord]) -> NodeRecord:
    """The host of a name, an id, or the begin of one; raises `NotFound`, `InvalidArgument` where several are meant."""
    known = tuple(nodes)
    found = [one for one in known if reference in (one.id, one.name)]
    found = found or [one for one in known if reference and one.id.startswith(reference)]
    if len(found) > 1:
        raise InvalidArgument(f"node {reference} is ambiguous ({len(found)} matches found)")
    if not found:
        raise NotFound(f"node {reference} not found")
    return found[0]


def check_removal(record: NodeRecord, containers: int, ready: bool) -> None:
    """Raises `FailedPrecondition` for a host that is not drained, that has containers, or may have some."""
    if record.availability != "drain":
        raise FailedPrecondition(f"node {record.name} is not drained; first: shoal node drain {record.name}")
    if containers:
        raise FailedPrecondition(f"node {record.name} has containers ({containers}); remove them first, or use --force")
    if not ready:
        raise FailedPrecondition(f"node {record.name} does not answer; if it will not be back, use --force")


def updated(record: NodeRecord, request: UpdateRequest) -> NodeRecord:
    """The host's record with what an operator says; raises `InvalidArgument` for a label without a name."""
    if not all(request.labels):
        raise InvalidArgument("a label needs a name")
    labels = {key: value for key, value in (record.labels | request.labels).items() if key not in request.without}
    return msgspec.structs.replace(record, labels=labels, availability=request.availability or record.availability)


def emulated(own: Platform, runs: Iterable[Platform]) -> tuple[str, ...]:
    """The architectures besides its own that a host runs containers of."""
    return tuple(sorted({each.architecture for each in runs if each.os == own.os} - {own.architecture}))
