"""What the image store needs of the world outside, and the values that pass there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from shared.contracts.base import Message
from shared.contracts.common import Descriptor, Mount
from shared.contracts.distribution import Credentials, Referrer
from shared.contracts.image_store import ReferenceRecord


class Layer(Message, frozen=True):
    """An unpacked layer. `size`: bytes of its files; `blob`: the archive it came from; `link`: its short name.

    `mode`, `uid`, `gid` are those of its root directory.
    """

    chain_id: str
    parent: str
    diff_id: str
    size: int
    blob: Descriptor
    link: str = ""
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


class Unpacked(Message, frozen=True):
    """What came of unpacking a layer: digest of the plain archive ("" when not asked for), sizes in bytes."""

    digest: str
    bytes: int
    size: int
    opaque: tuple[str, ...] = ()
    implied: tuple[str, ...] = ()


class Packed(Message, frozen=True):
    """A layer made of a directory: its archive in the file `blob`, its tree in `folder`/diff.

    `bytes` of the archive, `size` of its files; `empty`: it would say nothing.
    """

    folder: Path
    blob: Path
    digest: str
    bytes: int
    size: int
    empty: bool


class Entry(Message, frozen=True):
    """One entry of an image archive; `file` names its content in the session when `kind` is `file`."""

    name: str
    kind: str = "file"
    link: str = ""
    file: str = ""
    digest: str = ""
    size: int = 0


class Indexed(Message, frozen=True):
    """An image as the store's index names it: its manifest and, for images built here, its parent.

    `index`: what the image was chosen from, when it came of an index of several platforms; kept as it came.
    """

    manifest: Descriptor
    parent: str = ""
    index: Descriptor | None = None


Progress = Callable[[int], Awaitable[None]]
"""Told how many bytes of the archive have been read."""


class ContentStore(Protocol):
    """Blobs by digest, and the index of images; all writes are durable when they return."""

    def has(self, digest: str) -> bool: ...

    def digests(self) -> set[str]: ...

    def path(self, digest: str) -> Path: ...

    def read(self, digest: str, most: int) -> bytes:
        """A whole blob; `DataLoss` when it is missing, larger than `most`, or not what its digest says."""

    async def flush(self, file: Path) -> None:
        """Makes a file's bytes durable."""

    def adopt(self, file: Path, digest: str) -> None:
        """Takes a flushed file over as a blob; the file may be removed afterwards."""

    async def write(self, data: bytes) -> str:
        """The data as a blob; its digest. Whoever is cancelled is so when it is written: it is there, or nothing is."""

    def delete(self, digests: Iterable[str]) -> None: ...

    def packed(self, digest: str) -> Descriptor | None:
        """What a blob became when it was compressed last (its media type is not told), or None."""

    def remember_packed(self, digest: str, packed: Descriptor) -> None:
        """Keeps that, as long as the blob itself."""

    def read_index(self) -> tuple[Indexed, ...]: ...

    async def write_index(self, images: Iterable[Indexed]) -> None: ...


class LayerStore(Protocol):
    """Unpacked layers by chain id, shared by all images and snapshots that stand on them."""

    def get(self, chain_id: str) -> Layer | None: ...

    def all(self) -> tuple[Layer, ...]: ...

    def lineage(self, chain_id: str) -> tuple[Layer, ...]:
        """The layer and those below it, top first; `DataLoss` when one is missing."""

    def directory(self, layer: Layer) -> Path: ...

    def link(self, layer: Layer) -> Path:
        """A short path of the layer's tree, for the options of a mount."""

    async def put(self, layer: Layer, tree: Path, unpacked: Unpacked) -> Layer: ...

    async def delete(self, chain_ids: Iterable[str]) -> None: ...


class Snapshotter(Protocol):
    """Writable layers on top of images, by key."""

    def prepare(self, key: str, image_id: str, lineage: tuple[Layer, ...]) -> tuple[Mount, ...]: ...

    def find(self, key: str) -> tuple[str, str] | None:
        """(image id, chain id) that the snapshot stands on."""

    def mounts(self, key: str, lineage: tuple[Layer, ...]) -> tuple[Mount, ...]: ...

    def view(self, lineage: tuple[Layer, ...]) -> tuple[Mount, ...]:
        """The mounts of an image alone, to read."""

    def upper(self, key: str) -> Path: ...

    def release(self, key: str) -> None: ...

    def take(self, key: str, folder: Path) -> Path:
        """Moves the snapshot into a folder and forgets it; where its tree is then."""

    def chains(self) -> set[str]:
        """Chain ids that snapshots stand on."""

    def keys(self) -> tuple[str, ...]: ...


class Packer(Protocol):
    """Maker of layers from writable ones."""

    def folder(self) -> AbstractAsyncContextManager[Path]:
        """An empty folder of the store; all that is left in it is gone when the context ends."""

    async def pack(self, upper: Path, below: tuple[Layer, ...], folder: Path, move: bool, latest: int = 0) -> Packed:
        """Writes archive and tree of a layer into `folder`; the tree is the directory itself when `move`.

        `below`: the layers it stands on, top first. `latest`: see `CommitRequest`.
        `ResourceExhausted` for more than may be unpacked again.
        """


class Session(Protocol):
    """One confined helper and the folder it works in; see `adapters.unpack_helper`."""

    async def spool(self, archive: AsyncIterator[bytes]) -> tuple[Entry, ...]: ...

    async def inflate(self, archive: AsyncIterator[bytes]) -> Entry: ...

    async def unpack(
        self,
        file: str,
        hashed: bool,
        whole: bool = False,
        progress: Progress | None = None,
        growth: AsyncIterator[int] | None = None,
    ) -> tuple[Path, Unpacked]:
        """A folder with the tree in `diff`. `hashed`: tell the plain archive's digest; `whole`: insist on its end.

        `growth`: the file is still being written; each number is a size it has reached, the last one its own.
        """

    def path(self, file: str) -> Path: ...

    def read(self, entry: Entry, most: int) -> bytes: ...

    def head(self, entry: Entry, size: int) -> bytes: ...

    def link(self, blob: Path) -> str: ...


@dataclass
class Budget:
    """The bytes that several sessions have unpacked of what one archive may take."""

    spent: int = 0


class Unpacker(Protocol):
    """Maker of helpers that take archives apart."""

    def session(self, budget: Budget | None = None) -> AbstractAsyncContextManager[Session]:
        """A fresh helper; all it left behind is gone when the context ends. `budget`: shared with other sessions."""


class Document(Message, frozen=True):
    """A manifest or index as it came, with the media type that came with it; `digest` is that of its bytes."""

    media_type: str
    digest: str
    data: bytes


class BlobSource(Protocol):
    """Somebody who has blobs: a registry's repository, or another node's store."""

    async def fetch(self, blob: Descriptor, file: Path, told: Progress) -> None:
        """Adds to `file`, made when missing, what it lacks of the blob: then it is the blob, size and digest verified.

        One attempt: after a `RegistryError` that says so, another may go on where it stopped. `told`: the bytes that
        the file has; less than before when it starts anew.
        """


class ContentSource(BlobSource, Protocol):
    """Somebody who has all of an image."""

    async def small(self, blob: Descriptor) -> bytes:
        """A blob that fits into memory, verified."""


class Peers(Protocol):
    """The image stores of other hosts. What asks one of them raises `ShoalError` when it does not answer."""

    @property
    def known(self) -> tuple[str, ...]:
        """The hosts that are known to have one, in the order in which they were learned."""

    def look(self) -> asyncio.Task[None]:
        """Begins to ask who is there, or goes on; the task is done when nobody is waited for any more."""

    def learn(self, nodes: Iterable[str]) -> None:
        """These have one, somebody says."""

    async def holds(self, node: str, digest: str) -> bool: ...

    async def read(self, node: str, digest: str, offset: int, length: int) -> bytes:
        """So many bytes of a blob, not verified."""


class Repository(ContentSource, Protocol):
    """One repository at one endpoint of its registry."""

    @property
    def url(self) -> str:
        """The endpoint's address."""

    @property
    def is_mirror(self) -> bool: ...

    @property
    def has_answered(self) -> bool:
        """Whether somebody there has answered any question yet."""

    async def ping(self) -> None:
        """Raises `RegistryError` when nobody there answers."""

    async def manifest(self, reference: str, size: int = -1) -> Document:
        """The manifest or index of a tag or digest; `size`: what it must have. Raises `RegistryError`."""

    async def head(self, reference: str) -> str:
        """The digest of a manifest, or "" when the registry does not tell."""

    async def tags(self) -> tuple[str, ...]: ...

    async def has(self, digest: str) -> bool:
        """Whether the repository has a blob."""

    async def mount(self, digest: str, source: str) -> str:
        """Takes a blob over from another repository: "", or where to send it when that cannot be."""

    async def begin(self) -> str:
        """Where to send a new blob."""

    async def put(self, location: str, blob: Descriptor, file: Path, told: Progress) -> None:
        """Sends a blob as it is, in one piece. `told`: the bytes sent."""

    async def put_packed(self, location: str, file: Path, told: Progress) -> Descriptor:
        """Sends a file compressed by gzip; what it became. `told`: the bytes of the file that were read."""

    async def put_manifest(self, reference: str, document: Document) -> None:
        """Files a manifest under a tag or digest; what it refers to can be asked for it afterwards."""

    async def login(self) -> str:
        """Returns when the credentials are good, with an identity token where there is one. Raises `RegistryError`."""

    async def referrers(self, digest: str, artifact_type: str) -> tuple[Referrer, ...]:
        """What refers to a manifest; the registry may leave the choice of a type to who asks."""


class Registry(Protocol):
    """The way to registries."""

    async def repositories(
        self, domain: str, path: str, login: Credentials, actions: tuple[str, ...] = ("pull",)
    ) -> tuple[Repository, ...]:
        """The repository at each endpoint that may have it, in the order in which they are to be asked.

        Mirrors are among them when nothing but pulling is wanted.
        """

    async def search(self, domain: str, term: str, limit: int, login: Credentials) -> bytes:
        """The answer of a registry's index to a search. Raises `RegistryError`."""


class Kept(Message, frozen=True):
    """A lease that outlives its process: blobs by digest, layers by chain id, images by id; until (nanoseconds)."""

    blobs: tuple[str, ...] = ()
    chains: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    until: int = 0


class LeaseFiles(Protocol):
    """Where such leases are kept, by name."""

    def read(self) -> dict[str, Kept]: ...

    def put(self, name: str, kept: Kept) -> None: ...

    def drop(self, name: str) -> None: ...


class Partials(Protocol):
    """Blobs that have come in part."""

    def path(self, digest: str) -> Path: ...

    def discard(self, digest: str, empty: bool = False) -> None:
        """Removes one; `empty`: only if nothing of it has come."""

    def sweep(self, in_use: set[str], all_: bool = False) -> int:
        """Removes those nobody goes on with: the old ones, or all. Returns the bytes."""


class References(Protocol):
    """The names of images on this node. A change shows in the catalog when the call returns."""

    async def put(self, record: ReferenceRecord) -> None: ...

    async def delete(self, reference: str) -> None: ...


class Events(Protocol):
    """Where Docker events are told."""

    def __call__(self, action: str, actor: str, attributes: dict[str, Any]) -> None: ...
