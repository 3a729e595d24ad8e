"""Contract of the image store: content, references, layers and snapshots of one node."""

from __future__ import annotations

from shared.contracts.base import Contract, Empty, Endpoint, Event, Keys, Message
from shared.contracts.common import Descriptor, DockerEvent, Mount, Platform, PruneReport, Ref, StreamOffer
from shared.contracts.container import ContainerConfig
from shared.contracts.distribution import (
    DISTRIBUTION,
    LOGIN,
    PULL,
    PUSH,
    REFERRERS,
    SEARCH,
    Credentials,
    PullRequest,
    PushRequest,
)
from shared.contracts.image import HistoryEntry, Image, PlatformImage
from shared.contracts.leases import END_LEASE, Leased
from shared.contracts.peers import FETCH, HOLDS, READ, FetchRequest, HoldsRequest, ReadRequest
from shared.contracts.trees import TREE_ERRORS, SyncInRequest, SyncOutRequest, SyncReply
from shared.errors import Conflict, InvalidArgument, NotFound

__all__ = (  # they stand elsewhere and are found here
    "END_LEASE", "FETCH", "HOLDS", "PULL", "PUSH", "READ",
    "Credentials", "FetchRequest", "HistoryEntry", "HoldsRequest", "Image", "PlatformImage", "PullRequest",
    "PushRequest", "ReadRequest",
)  # fmt: skip


class ReferenceRecord(Message, frozen=True):
    """Record `references.<node>.<full reference>`: the name of an image on that node.

    `others` have it as well, each for another platform; `image_id` is who is meant when no platform is asked for.
    """

    reference: str
    image_id: str
    manifest: Descriptor | None = None
    tagged: int = 0
    others: tuple[str, ...] = ()


REFERENCES = Keys("references.*.*", ReferenceRecord)
WHICH_IMAGE = "give its id, or pull or tag the one you mean on this host"
"""Advice to whoever names what this host has not got and others have different images of."""


class ResolveRequest(Leased, frozen=True):
    """`reference` as users type it: name, name:tag, name@digest, (short) id."""

    reference: str
    platform: Platform | None = None
    manifests: bool = False


class ListRequest(Message, frozen=True):
    """Docker's filters of `GET /images/json`. Of those that share a name the one meant without a platform is listed."""

    filters: dict[str, tuple[str, ...]] = {}
    all: bool = False
    shared_size: bool = False
    manifests: bool = False


class ListReply(Message, frozen=True):
    images: tuple[Image, ...] = ()
    shared_sizes: dict[str, int] = {}


class Changed(Message, frozen=True):
    """What `list` without any filter shows from now on: images as `resolve` answers them, and ids of those that it
    shows no more. None of either: anything may be other than before, as when images of several platforms share a name.
    `node`: whose images.
    """

    images: tuple[Image, ...] = ()
    removed: tuple[str, ...] = ()
    node: str = ""


class TagRequest(Message, frozen=True):
    source: str
    repository: str
    tag: str = ""


class RemoveRequest(Message, frozen=True):
    """`in_use`: image ids that containers use, with who uses them (needs `force`); `running`: never removed.

    `platform`: of the images that have the name the one for this platform alone.
    """

    reference: str
    platform: Platform | None = None
    force: bool = False
    no_prune: bool = False
    in_use: dict[str, str] = {}
    running: tuple[str, ...] = ()


class Removed(Message, frozen=True):
    """One line of `docker rmi`: exactly one field is set."""

    untagged: str = ""
    deleted: str = ""


class RemoveReply(Message, frozen=True):
    removed: tuple[Removed, ...] = ()


class PruneRequest(Message, frozen=True):
    filters: dict[str, tuple[str, ...]] = {}
    in_use: tuple[str, ...] = ()


class PrepareRequest(Message, frozen=True):
    """A writable snapshot `key` (the container's id) on top of an image. `reference` resolves as in `resolve`."""

    key: str
    reference: str
    platform: Platform | None = None


class Snapshot(Message, frozen=True):
    """`mounts` make the root file system when mounted in order at one place (containerd's snapshot mounts).

    Where the image has nothing else they show what a container's own is mounted on (no changes of it): folders /dev,
    /dev/pts, /dev/shm, /etc, /proc, /sys, empty files /.dockerenv, /dev/console, /etc/hostname, /etc/hosts,
    /etc/resolv.conf, all 0755, and the link /etc/mtab to /proc/mounts.
    """

    key: str
    image: Image
    mounts: tuple[Mount, ...]
    upper: str = ""
    graph_driver: dict[str, str] = {}
    """Its folders on this host, as Docker's overlay2 driver names them."""


class View(Message, frozen=True):
    """An image alone, to read: `mounts` make its root when mounted in order at one place.

    Nobody holds it: whoever wants it to stay sees to it that the image is not removed.
    """

    image_id: str
    mounts: tuple[Mount, ...]


class UsageRequest(Message, frozen=True):
    """Sizes of these writable layers; none: all."""

    keys: tuple[str, ...] = ()


class UsageReply(Message, frozen=True):
    """Bytes: writable layers by key; images by id, each with all its layers; all layers, each counted once."""

    snapshots: dict[str, int] = {}
    images: dict[str, int] = {}
    layers: int = 0


class LoadRequest(Message, frozen=True):
    quiet: bool = False
    platform: Platform | None = None
    platforms: tuple[Platform, ...] = ()  # several, instead of one: all that are there of these


class SaveRequest(Message, frozen=True):
    references: tuple[str, ...]
    platform: Platform | None = None
    platforms: tuple[Platform, ...] = ()  # several, instead of one: each has to be there


class ImportRequest(Message, frozen=True):
    """One layer: a flat file system that is sent, or fetched from the URL `source`; `changes` as in a Dockerfile."""

    source: str = ""
    repository: str = ""
    tag: str = ""
    message: str = ""
    changes: tuple[str, ...] = ()
    platform: Platform | None = None


class Change(Message, frozen=True):
    """One path (from / on) of a snapshot that differs from its image: 0 modified, 1 added, 2 deleted, as in Docker."""

    path: str
    kind: int


class ImageSource(Leased, frozen=True):
    """What is said of an image that is made on top of another.

    `config` changed by `changes` (Dockerfile lines), then completed by `defaults`, becomes its configuration.
    `container` and `container_config` tell which container it is of; `created_by` is what its history shows (empty:
    the container's command). `repository`, `tag`: a name it gets. `created` as RFC 3339; empty: now.
    """

    config: ContainerConfig = ContainerConfig()
    changes: tuple[str, ...] = ()
    defaults: ContainerConfig | None = None
    container: str = ""
    container_config: ContainerConfig | None = None
    author: str = ""
    comment: str = ""
    created: str = ""
    created_by: str = ""
    repository: str = ""
    tag: str = ""


class CommitRequest(ImageSource, frozen=True):
    """An image of the snapshot `key` on top of that snapshot's image; without a key one of `parent`, with no new layer.

    Without either it has no layer at all, and is for `platform` (None: the host's).
    `release`: the snapshot is given up for it, done or failed (nothing is copied: nobody may have it mounted any more).
    `latest`: times of files later than that (nanoseconds since the epoch; 0: all are kept) become it.
    `origin` (without a key): the layer, time and words are those of what this image has next in its history.
    """

    key: str = ""
    parent: str = ""
    origin: str = ""
    platform: Platform | None = None
    release: bool = False
    latest: int = 0


class CommitReply(Message, frozen=True):
    """`name`: the name it got, as users type it."""

    image: Image
    name: str = ""


class ApplyRequest(ImageSource, frozen=True):
    """An image of one more layer, whose archive goes in by the stream, on `parent` (empty: on nothing)."""

    parent: str = ""
    platform: Platform | None = None


class ChildRequest(Leased, frozen=True):
    """The image that a build made of `parent` ("": of nothing) by an instruction, as its history has it.

    `cache_from` (image ids), where given: only what these were made of counts. `platform`: only an image for it. The
    parent is held, too; `NotFound` if it is not there.
    """

    parent: str
    created_by: str
    cache_from: tuple[str, ...] = ()
    platform: Platform | None = None


class ChildReply(Message, frozen=True):
    """`image`: the newest; None: there is none. `origin`: an image of `cache_from` that has the step in its history.

    `next`: the newest child of `image`, of that one the newest, and so on, as far as the store likes to tell: a build
    that does what the last one did would ask for these next. They are not held.
    """

    image: Image | None = None
    origin: str = ""
    next: tuple[Image, ...] = ()


class LookRequest(Message, frozen=True):
    """What the file system of an image (its id; "": nothing) has.

    `paths` are looked at, `patterns` (of Go's `path.Match`, without a leading slash) matched, the files `read` read.
    """

    image: str = ""
    paths: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    read: tuple[str, ...] = ()


class Folder(Message, frozen=True):
    """A directory; `mtime` in nanoseconds."""

    path: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    mtime: int = 0


class FileState(Message, frozen=True):
    """`path`: the real one, links followed, without a leading slash; `kind`: file, directory, ...; "": nothing there.

    `above`: the directories that are there on the way, the root first, and itself when it is one.
    """

    path: str
    kind: str = ""
    above: tuple[Folder, ...] = ()


class LookReply(Message, frozen=True):
    """In the order asked for. `read`: b"" for what is no file; at most 256 KiB of each."""

    found: tuple[FileState, ...] = ()
    matches: tuple[tuple[str, ...], ...] = ()
    read: tuple[bytes, ...] = ()


class ContentsRequest(Message, frozen=True):
    """What an image (its id) has at `path` and below."""

    image: str
    path: str = ""


class NamesRequest(Message, frozen=True):
    """Names as users type them."""

    names: tuple[str, ...] = ()


class NamesReply(Message, frozen=True):
    """Repository (as Docker shows it) and tag of each, in order; `latest` where none was given."""

    names: tuple[tuple[str, str], ...] = ()


_NF = NotFound
RESOLVE = Endpoint("image_store.resolve", ResolveRequest, Image, (_NF, InvalidArgument), idempotent=True)
LIST = Endpoint("image_store.list", ListRequest, ListReply, (InvalidArgument,), idempotent=True)
TAG = Endpoint("image_store.tag", TagRequest, Empty, (_NF, InvalidArgument))
REMOVE = Endpoint("image_store.remove", RemoveRequest, RemoveReply, (_NF, Conflict, InvalidArgument))
PRUNE = Endpoint("image_store.prune", PruneRequest, PruneReport, (InvalidArgument,), timeout=300)
"""Removes what the filters choose and `in_use` does not hold; `removed` has names, and ids (`sha256:...`)."""
PREPARE = Endpoint("image_store.prepare", PrepareRequest, Snapshot, (_NF, InvalidArgument), idempotent=True)
SNAPSHOT = Endpoint("image_store.snapshot", Ref, Snapshot, (_NF,), idempotent=True)
"""The mounts of an existing snapshot, by key."""
VIEW = Endpoint("image_store.view", Ref, View, (_NF, InvalidArgument), idempotent=True)
"""`id`: as in `resolve`."""
RELEASE = Endpoint("image_store.release", Ref, Empty, idempotent=True)
"""Removes the snapshot `key` for good."""
SYNC_OUT = Endpoint("image_store.sync_out", SyncOutRequest, SyncReply, (_NF, *TREE_ERRORS), timeout=0)
"""The tree is the writable layer of the snapshot `key`."""
SYNC_IN = Endpoint("image_store.sync_in", SyncInRequest, StreamOffer, (_NF,))
USAGE = Endpoint("image_store.usage", UsageRequest, UsageReply, idempotent=True)
LOAD = Endpoint("image_store.load", LoadRequest, StreamOffer)  # the archive goes in, Docker's progress lines come out
SAVE = Endpoint("image_store.save", SaveRequest, StreamOffer, (_NF, InvalidArgument))
IMPORT = Endpoint("image_store.import_", ImportRequest, StreamOffer, (InvalidArgument,))
CHANGES = Endpoint("image_store.changes", Ref, StreamOffer, (_NF, Conflict), idempotent=True, timeout=0)
"""The changes in the snapshot `key`: a `Change` as JSON on each line, in the order of paths."""
COMMIT = Endpoint("image_store.commit", CommitRequest, CommitReply, (_NF, Conflict, InvalidArgument), timeout=0)
"""Durable when it answers. A layer that would hold nothing is left out (`empty_layer` in the history)."""
APPLY = Endpoint("image_store.apply", ApplyRequest, StreamOffer, (_NF, InvalidArgument))
"""Answers with one line `{"status": "<image id>"}`, or Docker's error line."""
CHILD = Endpoint("image_store.child", ChildRequest, ChildReply, idempotent=True)
LOOK = Endpoint("image_store.look", LookRequest, LookReply, (_NF, InvalidArgument), idempotent=True)
CONTENTS = Endpoint("image_store.contents", ContentsRequest, StreamOffer, (_NF, InvalidArgument))
"""A tar, names relative to the path (a file: its own name); an error before it is Docker's error line."""
NAMES = Endpoint("image_store.names", NamesRequest, NamesReply, (InvalidArgument,), idempotent=True)
"""Checks names that images are to get, before there is an image."""

IMAGE_EVENT = Event("image", DockerEvent)
CHANGED = Event("image_store.changed", Changed, kept=False)
"""What `list` or `resolve` answers may be other than before. Told before the answer to whoever caused it: callers keep
answers until they hear it."""

CONTRACT = Contract(
    name="image_store",
    version="v1",
    summary="Content-addressed images of one node: references, layers, snapshots.",
    endpoints=(
        RESOLVE, LIST, TAG, REMOVE, PRUNE, PREPARE, SNAPSHOT, VIEW, RELEASE, USAGE, LOAD, SAVE, IMPORT, CHANGES,
        COMMIT, APPLY,
        PULL, PUSH, SEARCH, LOGIN, DISTRIBUTION, REFERRERS,
        CHILD, LOOK, CONTENTS, NAMES,
        HOLDS, READ, FETCH, END_LEASE, SYNC_OUT, SYNC_IN,
    ),
    events=(IMAGE_EVENT, CHANGED),
    owns=(REFERENCES,),
    calls=("image_store.holds", "image_store.read", "image_store.sync_in"),
)  # fmt: skip
