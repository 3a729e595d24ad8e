"""Contract of the builder: images made by Dockerfiles, on one node."""

from __future__ import annotations

from shared.contracts.base import Contract, Empty, Endpoint, Event, Keys, Message
from shared.contracts.common import DockerEvent, Platform, PruneReport, StreamOffer
from shared.contracts.container import HostConfig
from shared.contracts.image_store import Credentials
from shared.errors import InvalidArgument, NotFound, NotImplementedYet


class BuildRequest(Message, frozen=True):
    """One build. Its context, a tar in any compression, goes in by the stream, unless `remote` names one.

    `dockerfile`: its path in the context. `build_args`: None for a name without a value. `host_config`: limits and
    network of its containers. `remove`: containers of steps that succeeded; `force_remove`: of failed ones too. `auth`:
    credentials by registry; `secrets`: for `RUN --mount=type=secret`. `aux`: ids as objects too. `id`: to cancel it.
    """

    dockerfile: str = ""
    remote: str = ""
    tags: tuple[str, ...] = ()
    quiet: bool = False
    no_cache: bool = False
    pull: bool = False
    remove: bool = True
    force_remove: bool = False
    build_args: dict[str, str | None] = {}
    labels: dict[str, str] = {}
    cache_from: tuple[str, ...] = ()
    target: str = ""
    platform: Platform | None = None
    host_config: HostConfig = HostConfig()
    auth: dict[str, Credentials] = {}
    secrets: dict[str, bytes] = {}
    aux: bool = True
    id: str = ""


class BuildRecord(Message, frozen=True):
    """Record `builds.<node>.<id>`: a build whose containers are to be removed when it is not finished."""

    id: str
    began: int


BUILDS = Keys("builds.*.*", BuildRecord)
ANNOTATION = "dev.shoal.build"
"""Annotation of a step's container: the id of its build."""


class CancelRequest(Message, frozen=True):
    id: str


class PruneRequest(Message, frozen=True):
    """Cache mounts to remove: all, or what the filters (`until`, `unused-for`, `id`) choose; `keep` bytes stay."""

    all: bool = False
    filters: dict[str, tuple[str, ...]] = {}
    keep: int = 0


class CacheEntry(Message, frozen=True):
    """One cache mount: `size` in bytes, times in nanoseconds."""

    id: str
    name: str
    size: int
    created: int
    used: int
    in_use: bool = False


class UsageReply(Message, frozen=True):
    entries: tuple[CacheEntry, ...] = ()


BUILD = Endpoint("builder.build", BuildRequest, StreamOffer, (InvalidArgument, NotFound, NotImplementedYet))
"""Docker's JSON lines come out; the last may be an error line. `END` stands behind it, unless the build was cut off."""
END = b"\n"
"""An empty line; all others end with a carriage return before it."""
CANCEL = Endpoint("builder.cancel", CancelRequest, Empty, (InvalidArgument,))
PRUNE = Endpoint("builder.prune", PruneRequest, PruneReport, (InvalidArgument,), timeout=300)
USAGE = Endpoint("builder.usage", Empty, UsageReply, idempotent=True)

BUILDER_EVENT = Event("builder", DockerEvent)

CONTRACT = Contract(
    name="builder",
    version="v1",
    summary="Builds images by Dockerfiles, with what image store and executor can do.",
    endpoints=(BUILD, CANCEL, PRUNE, USAGE),
    events=(BUILDER_EVENT,),
    owns=(BUILDS,),
    calls=("image_store.*", "executor.*", "scheduler.bring"),
    reads=("containers.*",),
)
