"""Contract of a migration driver: how the processes of a running container come from one host to another.

Where a container goes, what is done in which order, whose it is (one write decides that), its files, volumes, network
and records: all that is the migrator's and the other services'. A driver takes memory and processes along. It is
served on both hosts, and is addressed there as node `<node id>-<driver's name>`:
`shoal.v1.migration_driver.<node id>-<name>.freeze` and so on. The engine's own, `criu`, is served by the platform.

In order: `migratable` at both, `receive` at the target, `precopy` at the source (once at the least), `freeze`, `dump`,
meanwhile `restore` at the target (which waits for it), `resume` there (which waits for that), `settle` there and
`discard` at the source.
Before `resume` everything is taken back by `thaw` at the source and `abandon` at the target. Nothing runs at the
target before `resume`, nor at the source between `freeze` and `thaw`: no driver goes on by itself, whatever is killed.
All may be asked again (`receive` then begins anew).
"""

from __future__ import annotations

from typing import Literal

from shared.contracts.base import Contract, Empty, Endpoint, Message
from shared.contracts.common import Ref
from shared.contracts.moving import Peer
from shared.contracts.platform import CreateRequest
from shared.errors import AlreadyExists, Conflict, FailedPrecondition, InvalidArgument, NotFound, Unavailable

BUILT_IN = "criu"
"""The engine's own driver."""
Strategy = Literal["post-copy", "copy"]
"""What of its memory comes last comes, with `copy`, before the workload runs at the target; with `post-copy`
afterwards: a source that dies meanwhile takes it along."""


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
    memory_available: int = 0
    """Bytes that new processes can have (`MemAvailable` of /proc/meminfo); 0: not known."""


class MigratableRequest(Message, frozen=True):
    """With `id`: whether that workload can be moved from here. With `source`: whether this host can take from that.

    `measure`: also how fast it writes its memory, which may take some tenths of a second.
    """

    id: str = ""
    source: MoveHost | None = None
    measure: bool = False


class MoveFacts(Message, frozen=True):
    """`reasons`: why not, in sentences; empty: it can. `memory_bytes`: private memory of its processes.

    `written`: how fast it writes memory, in bytes a second at least; None: not measured. `strategies`: those that the
    driver has. `log`: it takes the container's log along; else the engine does. `follows`: it is told what is written,
    and need not look at memory while it stands still.
    """

    host: MoveHost
    reasons: tuple[str, ...] = ()
    memory_bytes: int = 0
    processes: int = 0
    written: int | None = None
    strategies: tuple[Strategy, ...] = ("post-copy", "copy")
    log: bool = False
    follows: bool = False


class ReceiveRequest(Message, frozen=True):
    """A workload that comes from another host. `request`: what the platform's `create` would get; its process is not
    started, but goes on. `started_at`: when it was started at the source.
    """

    request: CreateRequest
    strategy: Strategy = "post-copy"
    started_at: int = 0


class PrecopyRequest(Message, frozen=True):
    id: str
    peer: Peer
    strategy: Strategy = "post-copy"


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
    """`resumed_at`: when its processes ran again, nanoseconds since the epoch by that host's clock; `ago_ns`: how long
    before this answer.
    """

    pid: int
    log_path: str
    started_at: int
    resumed_at: int
    ago_ns: int = 0


class SettleReply(Message, frozen=True):
    """Bytes that came in all."""

    bytes: int


MIGRATABLE = Endpoint("migration_driver.migratable", MigratableRequest, MoveFacts, (NotFound,), idempotent=True)
RECEIVE = Endpoint(
    "migration_driver.receive", ReceiveRequest, Peer, (InvalidArgument, AlreadyExists, FailedPrecondition), timeout=60
)
"""A place for it at the target, and where it is awaited there, until `abandon`."""
PRECOPY = Endpoint(
    "migration_driver.precopy",
    PrecopyRequest,
    PrecopyReply,
    (NotFound, Conflict, FailedPrecondition, Unavailable),
    timeout=600,
)
"""Joins the two hosts; with `copy` sends what is new of its memory, while it runs."""
FREEZE = Endpoint("migration_driver.freeze", Ref, FreezeReply, (NotFound, Conflict, FailedPrecondition))
"""It stands still from now on. Its network is taken off next, and only then dumped: no answer is lost."""
DUMP = Endpoint(
    "migration_driver.dump", Ref, DumpReply, (NotFound, Conflict, FailedPrecondition, Unavailable), timeout=600
)
"""The target has all that `restore` needs, with `copy` all memory, too: it could go on without its source now."""
RESTORE = Endpoint(
    "migration_driver.restore",
    Ref,
    RestoreReply,
    (NotFound, Conflict, FailedPrecondition),
    idempotent=True,
    timeout=600,
)
"""Held: ready to go on, and silent. Asked as soon as its files are there: what `dump` sends may still be on its way,
and is waited for, unless `abandon` comes. `NotFound`: nothing is here that could. Frames may come to its network from
now on, and nothing answers there, whether or not its processes are still here."""
RESUME = Endpoint(
    "migration_driver.resume", Ref, ResumeReply, (NotFound, Conflict, FailedPrecondition), idempotent=True, timeout=60
)
"""It goes on at the target, a workload of the platform there, as soon as it is restored: asked after `dump`, maybe
before `restore` has answered, or was heard of. No way back. `NotFound`: it cannot, and has not run here: it goes on at
its source. `FailedPrecondition`: it went on, and is lost."""
SETTLE = Endpoint(
    "migration_driver.settle", Ref, SettleReply, (NotFound, FailedPrecondition), idempotent=True, timeout=0
)
"""Returns when all of its memory is at the target: the source may be lost from then on."""
DISCARD = Endpoint("migration_driver.discard", Ref, Empty, (Conflict,), idempotent=True, timeout=0)
"""Nothing of it runs at the source any more, nor is told to have ended."""
THAW = Endpoint("migration_driver.thaw", Ref, Empty, idempotent=True, timeout=60)
"""It runs at the source as if nothing had been; nothing for what is not being moved."""
ABANDON = Endpoint("migration_driver.abandon", Ref, Empty, (Conflict,), idempotent=True, timeout=60)
"""Nothing of it is at the target. `Conflict`: it runs there."""

CONTRACT = Contract(
    name="migration_driver",
    version="v1",
    summary="How the processes of a running container come from one host to another.",
    endpoints=(MIGRATABLE, RECEIVE, PRECOPY, FREEZE, DUMP, RESTORE, RESUME, SETTLE, DISCARD, THAW, ABANDON),
    calls=tuple(
        f"platform.{operation}"
        for operation in ("list", "stats", "pause", "unpause", "checkpoint", "create", "signal", "delete")
    ),
)
"""`calls`: what a driver may ask of the platform of its host."""


def place(node: str, driver: str = "") -> str:
    """What the driver of a host is addressed as."""
    return f"{node}-{driver or BUILT_IN}"
