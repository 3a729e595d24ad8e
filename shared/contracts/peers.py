"""What image stores ask each other: who has content, and for its bytes (messages and endpoints of their contract)."""

from __future__ import annotations

from shared.contracts.base import Endpoint, Message
from shared.contracts.common import Descriptor
from shared.contracts.distribution import Credentials
from shared.errors import DataLoss, InvalidArgument, NotFound, Unknown

PIECE_BYTES = 256 << 10
"""The most that one `read` gives."""
HELD_SECONDS = 60.0
"""For so long after a `holds` or `read` that named it, a blob is not collected, whatever becomes of its image."""


class HoldsRequest(Message, frozen=True):
    """Digests of blobs: layers as they came, configurations, manifests."""

    digests: tuple[str, ...]


class HoldsReply(Message, frozen=True):
    """Those of them that are here, whole."""

    digests: tuple[str, ...] = ()


class ReadRequest(Message, frozen=True):
    """The bytes of a blob from `offset` on: `length` of them, fewer at its end; at most 256 KiB."""

    digest: str
    offset: int = 0
    length: int = PIECE_BYTES


class ReadReply(Message, frozen=True):
    """`size`: of the whole blob."""

    data: bytes
    size: int


class FetchRequest(Message, frozen=True):
    """The image of a manifest (as `Image.descriptor` has it) is to be here.

    `nodes` are asked first, then all others that answer. `reference`: the name under which a registry may have what no
    node has, with `auth` to prove who asks. `names`: what it is to be called here,
    beside images of other platforms that are called so.
    """

    manifest: Descriptor
    nodes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    reference: str = ""
    auth: Credentials = Credentials()


class FetchReply(Message, frozen=True):
    """`image_id`: what `prepare` takes as its reference."""

    image_id: str


HOLDS = Endpoint("image_store.holds", HoldsRequest, HoldsReply, (InvalidArgument,), idempotent=True, timeout=10)
READ = Endpoint("image_store.read", ReadRequest, ReadReply, (NotFound, InvalidArgument), idempotent=True, timeout=30)
FETCH = Endpoint(
    "image_store.fetch",
    FetchRequest,
    FetchReply,
    (NotFound, InvalidArgument, DataLoss, Unknown),
    idempotent=True,
    timeout=0,
)
"""Durable when it answers; at once for what is here already. Broken off, it goes on from what has come."""
