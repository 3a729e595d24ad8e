"""Contract of the volume service: named and anonymous volumes of one node, and their drivers."""

from __future__ import annotations

from typing import Any

from shared.contracts.base import Contract, Empty, Endpoint, Event, Keys, Message
from shared.contracts.common import DockerEvent, PruneReport, StreamOffer
from shared.contracts.trees import TREE_ERRORS, SyncInRequest, SyncOutRequest, SyncReply
from shared.errors import Conflict, InvalidArgument, NotFound


class VolumeSpec(Message, frozen=True):
    """Record `volumes.<node>.<name>`. `anonymous`: the engine made up the name."""

    name: str
    driver: str = "local"
    mountpoint: str = ""
    created: int = 0
    options: dict[str, str] = {}
    labels: dict[str, str] = {}
    scope: str = "local"
    anonymous: bool = False
    status: dict[str, Any] = {}


SPECS = Keys("volumes.*.*", VolumeSpec)


class CreateRequest(Message, frozen=True):
    """`name` empty: an anonymous volume; `anonymous`: the name was made up by the caller.

    Creating an equal volume again answers the existing one.
    """

    name: str = ""
    anonymous: bool = False
    driver: str = "local"
    options: dict[str, str] = {}
    labels: dict[str, str] = {}


class NameRequest(Message, frozen=True):
    name: str
    force: bool = False


class ListRequest(Message, frozen=True):
    """Docker's filters of `GET /volumes`: name, driver, label, dangling (needs `in_use`)."""

    filters: dict[str, tuple[str, ...]] = {}
    in_use: tuple[str, ...] = ()


class ListReply(Message, frozen=True):
    volumes: tuple[VolumeSpec, ...] = ()
    warnings: tuple[str, ...] = ()


class RemoveRequest(Message, frozen=True):
    """`users`: ids of containers that use it; any makes it a conflict."""

    name: str
    force: bool = False
    users: tuple[str, ...] = ()


class PruneRequest(Message, frozen=True):
    """Filters: label, label!, all. Without `all` only anonymous volumes go."""

    filters: dict[str, tuple[str, ...]] = {}
    in_use: tuple[str, ...] = ()


class MountRequest(Message, frozen=True):
    """Makes the volume usable for `user` (a container's id); counted, so that it stays mounted while used.

    `subpath`: only that part of it. `destination`, `propagation` and `rw` are what the event tells.
    """

    name: str
    user: str
    subpath: str = ""
    destination: str = ""
    propagation: str = ""
    rw: bool = True


class MountReply(Message, frozen=True):
    """`path` is the directory on this host; `empty`: nothing in it yet (copy-up may fill it)."""

    path: str
    empty: bool = False


class UnmountRequest(Message, frozen=True):
    """`name` empty: everything that `user` mounted."""

    user: str
    name: str = ""


class Changed(Message, frozen=True):
    """Volumes as they are now, and names of those that are gone. None of either: anything may be other than before.

    `node`: whose volumes.
    """

    volumes: tuple[VolumeSpec, ...] = ()
    removed: tuple[str, ...] = ()
    node: str = ""


class UsageReply(Message, frozen=True):
    """Bytes by volume name."""

    sizes: dict[str, int] = {}


_NF = NotFound
CREATE = Endpoint("volume.create", CreateRequest, VolumeSpec, (_NF, InvalidArgument, Conflict), idempotent=True)
INSPECT = Endpoint("volume.inspect", NameRequest, VolumeSpec, (_NF,), idempotent=True)
LIST = Endpoint("volume.list", ListRequest, ListReply, (InvalidArgument,), idempotent=True)
REMOVE = Endpoint("volume.remove", RemoveRequest, Empty, (_NF, Conflict))
PRUNE = Endpoint("volume.prune", PruneRequest, PruneReport, (InvalidArgument,))
MOUNT = Endpoint("volume.mount", MountRequest, MountReply, (_NF, InvalidArgument), idempotent=True)
UNMOUNT = Endpoint("volume.unmount", UnmountRequest, Empty, idempotent=True)
USAGE = Endpoint("volume.usage", Empty, UsageReply, idempotent=True)
SYNC_OUT = Endpoint("volume.sync_out", SyncOutRequest, SyncReply, (_NF, *TREE_ERRORS), timeout=0)
"""The tree is the volume of that name."""
SYNC_IN = Endpoint("volume.sync_in", SyncInRequest, StreamOffer, (_NF,))

VOLUME_EVENT = Event("volume", DockerEvent)
CHANGED = Event("volume.changed", Changed, kept=False)
"""What `list` without filters, or `inspect`, answers may be other than before. Told before the answer to whoever caused
it: callers keep answers until they hear it."""

CONTRACT = Contract(
    name="volume",
    version="v1",
    summary="Volumes of one node and their drivers.",
    endpoints=(CREATE, INSPECT, LIST, REMOVE, PRUNE, MOUNT, UNMOUNT, USAGE, SYNC_OUT, SYNC_IN),
    events=(VOLUME_EVENT, CHANGED),
    owns=(SPECS,),
    calls=("volume.sync_in",),
)
