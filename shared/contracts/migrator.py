"""Contract of the migrator: containers move between the hosts of a cluster."""

from __future__ import annotations

from typing import Literal

from shared.contracts.base import AGREED, Contract, Empty, Endpoint, Keys, Message
from shared.contracts.common import StreamOffer
from shared.contracts.moving import Held
from shared.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound, NotImplementedYet, Unavailable

Strategy = Literal["auto", "post-copy", "copy", "cold"]
Phase = Literal["preparing", "switched", "aborting"]


class MigrationRecord(Message, frozen=True):
    """Record `migrations.<container>`: an unfinished migration.

    Its phase says whose the container is: from `preparing` to `switched` it becomes the target's, by compare-and-set;
    to `aborting`, no switch can follow any more. `held`: the container as the target takes it over, once it is
    switched.
    """

    id: str
    migration: str
    name: str
    source: str
    target: str
    source_name: str
    target_name: str
    strategy: Literal["post-copy", "copy", "cold"]
    driver: str = ""
    phase: Phase = "preparing"
    begun: int = 0
    held: Held | None = None


MIGRATIONS = Keys("migrations.*", MigrationRecord, bucket=AGREED)


class MigrateRequest(Message, frozen=True):
    """`node`: name or id of the host it is to go to; empty: the scheduler's choice.

    `strategy` `auto`: what does not run moves cold; what runs moves running, by `post-copy` when `accept_risk` says
    that it may be lost with its source within the seconds that takes, else by `copy`; it is never stopped unless
    asked for by `cold`. `driver`: who moves the memory, by name; empty: the engine's own. `kill_execs`: see
    `HoldRequest`.
    """

    id: str
    node: str = ""
    strategy: Strategy = "auto"
    driver: str = ""
    accept_risk: bool = False
    kill_execs: bool = False


class Plan(Message, frozen=True):
    """What a migration would be. `reasons`: why it cannot be, in sentences; empty: it can.

    Times in milliseconds: `freeze_ms` for which it stands still (of a cold move: is away, beside its own stop and
    start). `bytes` to send; `warnings`: what is lost on the way.
    """

    node: str
    node_name: str
    strategy: Literal["post-copy", "copy", "cold"]
    why: str = ""
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    bytes: int = 0
    freeze_ms: int = 0
    total_ms: int = 0


class MigrateReply(Message, frozen=True):
    """The stream tells the progress: a `Progress` as JSON on each line; the last one has a `result` or an `error`.

    Who stops reading breaks nothing off.
    """

    migration: str
    plan: Plan
    offer: StreamOffer


class Figures(Message, frozen=True):
    """How a migration went: milliseconds, and bytes of files and memory."""

    strategy: str
    freeze_ms: float = 0
    total_ms: float = 0
    file_bytes: int = 0
    memory_bytes: int = 0
    steps: dict[str, float] = {}
    """Milliseconds by step."""


class Progress(Message, frozen=True):
    """`step` was done, in `ms`; `bytes` were sent for it. `undo`: it took something back."""

    step: str = ""
    ms: float = 0
    bytes: int = 0
    undo: bool = False
    text: str = ""
    result: Figures | None = None
    error: str = ""
    kind: str = ""


class MigrationRef(Message, frozen=True):
    """An unfinished migration, by its container."""

    id: str


class ListReply(Message, frozen=True):
    migrations: tuple[MigrationRecord, ...] = ()


_ERRORS = (NotFound, Conflict, FailedPrecondition, InvalidArgument, NotImplementedYet, Unavailable)
PLAN = Endpoint("migrator.plan", MigrateRequest, Plan, _ERRORS, idempotent=True, timeout=60)
"""Where the container is now. Changes nothing."""
MIGRATE = Endpoint("migrator.migrate", MigrateRequest, MigrateReply, _ERRORS, timeout=60)
"""Begins. `FailedPrecondition`: the reasons why not."""
CANCEL = Endpoint("migrator.cancel", MigrationRef, Empty, (NotFound, Conflict), idempotent=True)
"""The container stays, unless it is switched already (`Conflict`)."""
LIST = Endpoint("migrator.list", Empty, ListReply, (Unavailable,), idempotent=True)
"""The unfinished ones of the cluster."""

CONTRACT = Contract(
    name="migrator",
    version="v1",
    summary="Containers move between the hosts of a cluster, while they run or stopped. Runs on its hosts only.",
    endpoints=(PLAN, MIGRATE, CANCEL, LIST),
    owns=(MIGRATIONS,),
    reads=("containers.*", "volumes.*", "networks.*"),
    reads_agreed=("nodes.*", "cluster_networks.*"),
    calls=(
        "executor.depart",
        "executor.stay",
        "executor.hold",
        "executor.receive",
        "executor.abandon",
        "executor.take_over",
        "executor.taken",
        "executor.leave",
        "executor.give_up",
        "executor.moves",
        "image_store.fetch",
        "image_store.resolve",
        "image_store.sync_out",
        "volume.sync_out",
        "volume.usage",
        "image_store.usage",
        "platform.sync_out",
        "migration_driver.*",
        "network.detach",
        "network.attach",
        "scheduler.choose",
    ),
)
