"""Leases of images: work of several steps holds on to what its next step needs (part of image_store's contract)."""

from __future__ import annotations

from shared.contracts.base import Empty, Endpoint, Message
from shared.contracts.common import Ref

LEASE_SECONDS = 24 * 3600
"""A lease ends by itself so long after the last image was added to it."""


class Leased(Message, frozen=True, kw_only=True):
    """`lease`: a key, chosen by who asks; the image of the reply is added to that lease, if there is one.

    An image of a lease is neither removed nor pruned (its names may go), nor is its content collected, until
    `end_lease`, or for a day.
    """

    lease: str = ""


END_LEASE = Endpoint("image_store.end_lease", Ref, Empty, idempotent=True)
"""What only this lease held may be removed from now on. None there is no error."""
