"""Containers that start again elsewhere when their host is lost (part of executor's contract)."""

from __future__ import annotations

from shared.contracts.base import AGREED, Empty, Endpoint, Keys, Message
from shared.contracts.common import Revision
from shared.contracts.container import ContainerSpec
from shared.errors import AlreadyExists, Conflict, NotFound, Unavailable


class MovableRecord(Message, frozen=True):
    """Record `movable.<id>`, kept by the hubs: a container that starts again elsewhere when its host is lost.

    Only the host `node` (its id) may run it; empty: none may, until one takes it. `spec` as last recorded there;
    `wanted`: it should run. `left`: hosts that may still have remains of it; while there are any, the record of a
    container that was removed stays (`removed`). The record's revision is the fencing token of who takes it.
    """

    node: str
    spec: ContainerSpec
    wanted: bool = False
    removed: bool = False
    left: tuple[str, ...] = ()


MOVABLE = Keys("movable.*", MovableRecord, bucket=AGREED)


class TakeRequest(Message, frozen=True):
    """A movable container to be taken over: `revision` is that of its record which the decision was made from."""

    id: str
    revision: int


TAKE = Endpoint("executor.take", TakeRequest, Revision, (NotFound, Conflict, AlreadyExists, Unavailable), timeout=60)
"""Makes this host the one that has a movable container, makes it here and starts it. `Conflict`: its record has changed
meanwhile. After any other failure it is nobody's again."""
SETTLE = Endpoint("executor.settle", Empty, Empty, (Unavailable,), idempotent=True, timeout=60)
"""This host has its lease (anew): movable containers that others took meanwhile are dropped, its own start again."""
