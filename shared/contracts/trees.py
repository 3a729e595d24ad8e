"""Bringing a tree of files from a service of one host to the same service of another (part of several contracts).

The sender keeps in memory what it sent: a pass that is not the first sends what has changed since. It forgets that
when it ends, and ten minutes after the last pass; the next pass is then a first one.
"""

from __future__ import annotations

from shared.contracts.base import Message
from shared.errors import DataLoss, FailedPrecondition, InvalidArgument, ResourceExhausted, ShoalError, Unavailable

TREE_ERRORS: tuple[type[ShoalError], ...] = (
    DataLoss, FailedPrecondition, InvalidArgument, ResourceExhausted, Unavailable
)  # fmt: skip


class SyncOutRequest(Message, frozen=True):
    """Sends the tree `key` to the same service on `node`, which has one of that key.

    `first`: all of it, whatever was sent before. `last`: nobody writes to it any more.
    """

    key: str
    node: str
    first: bool = False
    last: bool = False


class SyncReply(Message, frozen=True):
    """Of one pass: bytes that were sent, and how many files, folders and other things were other than before."""

    bytes: int = 0
    changed: int = 0


class SyncInRequest(Message, frozen=True):
    """What the offered stream brings (records of `shared.treesync`) becomes the tree `key`, whoever asks.

    The answer in the stream is a line of JSON: `{"bytes": ...}` when all of it is on disk, or `{"kind": ...,
    "message": ...}`.
    """

    key: str
    last: bool = False
