"""A container leaves one executor and comes to another (part of the executor's contract).

The migrator calls in this order: `depart` and `hold` where it is, `receive` and, once the switch is decided,
`take_over` and `taken` where it goes, then `leave` and `give_up` where it was. Before the switch `stay` and `abandon`
take everything back. All may be repeated. Whatever dies, an executor neither starts nor stops, forgets nor finishes
what is leaving or coming: the migrators of both hosts settle that, by the record of the migration.
"""

from __future__ import annotations

from typing import Literal

from shared.contracts.base import Empty, Endpoint, Message
from shared.contracts.common import Revision
from shared.contracts.container import ContainerSpec, ContainerStatus
from shared.contracts.volume import VolumeSpec
from shared.errors import AlreadyExists, Conflict, FailedPrecondition, InvalidArgument, NotFound, Unavailable


class MoveRef(Message, frozen=True):
    """A container's part in a migration."""

    id: str
    migration: str


class DepartRequest(MoveRef, frozen=True):
    """`node`: where it is to go; `driver`: by whom its processes do (empty: the engine's own)."""

    node: str
    driver: str = ""


class HoldRequest(MoveRef, frozen=True):
    """`stop`: end its process, as `docker stop` does, unless it does not run; else it must run.

    `kill_execs`: end what else runs in it; without, that is a reason to refuse.
    """

    stop: bool = False
    kill_execs: bool = False


class Held(Message, frozen=True):
    """The container as it will be elsewhere. `ran`: it was stopped for that. `log_bytes`: of its log, that go with
    it.
    """

    spec: ContainerSpec
    status: ContainerStatus
    ran: bool = False
    log_bytes: int = 0


class ReceiveRequest(MoveRef, frozen=True):
    """`spec` as where it is now; `volumes` those of it that are to be made here, as there.

    `strategy`: its processes come, too, by the migration driver `driver`; empty: they do not. They were started at
    `started_at` (nanoseconds).
    """

    spec: ContainerSpec
    volumes: tuple[VolumeSpec, ...] = ()
    strategy: Literal["", "post-copy", "copy"] = ""
    driver: str = ""
    started_at: int = 0


class Peer(Message, frozen=True):
    """Where a target's migration driver waits for the source's."""

    node: str
    address: str
    ticket: str


class ReceiveReply(Message, frozen=True):
    """`peer`: where its processes are awaited."""

    peer: Peer | None = None


class TakeOverRequest(MoveRef, frozen=True):
    """`source`: where it was; `driver`: by whom its processes came (empty: the engine's own)."""

    held: Held
    source: str
    source_name: str = ""
    driver: str = ""


class TakeOverReply(Message, frozen=True):
    """Of processes that came: `pid` (0: none did, or they are lost), and how long before this answer they went on."""

    revision: int = 0
    pid: int = 0
    log_path: str = ""
    ago_ns: int = 0


class TakenRequest(MoveRef, frozen=True):
    """`pid`: that of its processes that came; 0: none did."""

    pid: int = 0
    log_path: str = ""


class Move(Message, frozen=True):
    """What an executor has of an unfinished migration, and by which driver its processes move."""

    id: str
    migration: str
    role: Literal["leaving", "incoming", "departed"]
    driver: str = ""


class MovesReply(Message, frozen=True):
    moves: tuple[Move, ...] = ()


_NF, _C = NotFound, Conflict
DEPART = Endpoint("executor.depart", DepartRequest, Held, (_NF, _C), idempotent=True)
"""From now on nothing may change it but its own end, `stop` and `kill`: other calls are refused until `stay`."""
STAY = Endpoint("executor.stay", MoveRef, Revision, idempotent=True, timeout=120)
"""It is as it was before `depart`; one that was stopped runs again. Nothing for one that is not leaving."""
HOLD = Endpoint("executor.hold", HoldRequest, Held, (_NF, _C), idempotent=True, timeout=0)
"""All that clients want of it waits from now on."""
RECEIVE = Endpoint(
    "executor.receive",
    ReceiveRequest,
    ReceiveReply,
    (_C, _NF, AlreadyExists, InvalidArgument, FailedPrecondition, Unavailable),
    timeout=120,
)
"""A place for it: writable layer and volumes are there, empty, its network in standby; nobody sees it. What an earlier
call made is made anew, so not idempotent: a request that is sent again must not undo what its answer told."""
ABANDON = Endpoint("executor.abandon", MoveRef, Empty, (_C,), idempotent=True, timeout=120)
"""Nothing of it is here, nor will `take_over` find anything. `Conflict`: it was taken over."""
TAKE_OVER = Endpoint("executor.take_over", TakeOverRequest, TakeOverReply, (_NF,), idempotent=True, timeout=120)
"""It is this host's container, all hosts send here what is for it, and its processes go on. Only after the switch;
`NotFound`: there is nothing here that was received."""
TAKEN = Endpoint("executor.taken", TakenRequest, Revision, (_NF,), idempotent=True, timeout=120)
"""Its name is this host's in the cluster; one that ran before it came is started."""
LEAVE = Endpoint("executor.leave", DepartRequest, Empty, idempotent=True)
"""It is on `node` from now on: who waits to do something with it here is told so (`NotFound`, detail `moved_to`)."""
GIVE_UP = Endpoint("executor.give_up", MoveRef, Empty, idempotent=True, timeout=120)
"""Nothing of it is here any more, after `leave`; its volumes too are gone, and no event tells of an end."""
MOVES = Endpoint("executor.moves", Empty, MovesReply, idempotent=True)

MOVING = (DEPART, STAY, HOLD, RECEIVE, ABANDON, TAKE_OVER, TAKEN, LEAVE, GIVE_UP, MOVES)
