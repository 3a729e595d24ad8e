"""Live migration: the platform's part. What a move is made of on its two hosts, the source and the target.

In order: `migratable` at both, `receive` at the target, `precopy` at the source (once at the least), `freeze`, `dump`,
then `restore` at the target, `resume` there, and `discard` at the source. Before `resume` everything is taken back by
`thaw` at the source and `abandon` at the target. Who calls them decides, once, between the two: no platform goes on by
itself, whatever is killed. All are idempotent.
"""

from __future__ import annotations

from typing import Literal

from shared.contracts.base import Empty, Endpoint, Message
from shared.contracts.common import Ref
from shared.errors import Conflict, FailedPrecondition, NotFound, Unavailable

Strategy = Literal["postcopy", "copy"]
"""`postcopy`: memory follows after the workload runs at the target; a source that dies meanwhile takes it along.
`copy`: memory is sent before, while it runs, and what has changed while it is frozen."""


class MoveHost(Message, frozen=True):
    """What a host can do, for comparing two of them. `criu`: its version, empty: none that is new enough."""

    node: str = ""
    criu: str = ""
    kernel: str = ""
    architecture: str = ""
    processor: tuple[str, ...] = ()
    """Features that programs may have found and use (`flags` of /proc/cpuinfo)."""
    cgroup_version: str = ""
    lazy_pages: bool = False
    clustered: bool = False


class MigratableRequest(Message, frozen=True):
    """With `id`: whether that workload can be moved from here. With `source`: whether this host can take from that."""

    id: str = ""
    source: MoveHost | None = None
    strategy: Strategy = "postcopy"


class MoveFacts(Message, frozen=True):
    """`reasons`: why not, in sentences; empty: it can. `memory_bytes`: private memory of its processes."""

    host: MoveHost
    reasons: tuple[str, ...] = ()
    memory_bytes: int = 0
    processes: int = 0


class Peer(Message, frozen=True):
    """Where the target's mover waits for the source's, until `abandon`."""

    node: str
    address: str
    ticket: str


class PrecopyRequest(Message, frozen=True):
    id: str
    peer: Peer
    strategy: Strategy = "postcopy"


class PrecopyReply(Message, frozen=True):
    """Bytes: sent in all, sent by this pass, looked at by this pass."""

    bytes: int = 0
    changed_bytes: int = 0
    total_bytes: int = 0


class FreezeReply(Message, frozen=True):
    """When it was frozen, nanoseconds since the epoch."""

    frozen_at: int


class DumpReply(Message, frozen=True):
    """How long it took (nanoseconds), what was sent in all, and the size of the log."""

    dump_ns: int
    bytes: int
    log_bytes: int


class RestoreReply(Message, frozen=True):
    restore_ns: int


class ResumeReply(Message, frozen=True):
    """`resumed_at`: when its processes were let run, nanoseconds since the epoch; 0: all of it has come since."""

    pid: int
    log_path: str
    started_at: int
    resumed_at: int


class SettleReply(Message, frozen=True):
    """Bytes that came in all."""

    bytes: int


MIGRATABLE = Endpoint("platform.migratable", MigratableRequest, MoveFacts, (NotFound,), idempotent=True)
PRECOPY = Endpoint(
    "platform.precopy",
    PrecopyRequest,
    PrecopyReply,
    (NotFound, Conflict, FailedPrecondition, Unavailable),
    timeout=600,
)
FREEZE = Endpoint("platform.freeze", Ref, FreezeReply, (NotFound, Conflict, FailedPrecondition))
DUMP = Endpoint("platform.dump", Ref, DumpReply, (NotFound, Conflict, FailedPrecondition, Unavailable), timeout=600)
RESTORE = Endpoint("platform.restore", Ref, RestoreReply, (NotFound, Conflict, FailedPrecondition), timeout=600)
RESUME = Endpoint("platform.resume", Ref, ResumeReply, (NotFound, Conflict, FailedPrecondition), idempotent=True)
SETTLE = Endpoint("platform.settle", Ref, SettleReply, (NotFound, FailedPrecondition), idempotent=True, timeout=0)
DISCARD = Endpoint("platform.discard", Ref, Empty, (Conflict,), idempotent=True, timeout=0)
THAW = Endpoint("platform.thaw", Ref, Empty, idempotent=True, timeout=60)
ABANDON = Endpoint("platform.abandon", Ref, Empty, (Conflict,), idempotent=True, timeout=60)

ENDPOINTS = (
    MIGRATABLE, PRECOPY, FREEZE, DUMP, RESTORE, RESUME, SETTLE, DISCARD, THAW, ABANDON,
)  # fmt: skip
