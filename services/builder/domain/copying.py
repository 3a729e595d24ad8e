"""What COPY and ADD put into a layer (the classic builder's rules), and what tells one copy from another."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.archive import tar
from shared.archive.tar import Header
from shared.errors import InvalidArgument

from .tree import BLOCK, CHARACTER, DIRECTORY, FIFO, FILE, SYMLINK, Node, Source, Tree, directory

SECOND = 1_000_000_000
SET_UID, SET_GID, GROUP_EXECUTES = 0o4000, 0o2000, 0o010
CAPABILITY = "security.capability"
_KINDS = {DIRECTORY: tar.DIRECTORY, SYMLINK: tar.SYMLINK, FIFO: tar.FIFO, CHARACTER: tar.CHARACTER,
          BLOCK: tar.BLOCK_DEVICE, FILE: tar.REGULAR}  # fmt: skip


@dataclass(frozen=True)
class Owner:
    """Who gets the copies."""

    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class Item:
    """One thing to copy. `name`: what it is called inside a directory. `unpacked`: contents of an archive."""

    node: Node
    name: str
    unpacked: Tree | None = None

    def implied(self) -> list[str]:
        """Directories of the archive that no entry of it describes: there the image's own count, links to them too."""
        return [path for path, node in self.unpacked.walk() if node.implied] if self.unpacked else []


@dataclass(frozen=True)
class Place:
    """What an image has at a path: its real path (no leading slash), its kind ("": nothing), the directories above.

    `above`: each directory that is there, from the top, with its path; the place itself when it is one.
    """

    path: str
    kind: str = ""
    above: tuple[tuple[str, Node], ...] = ()


@dataclass(frozen=True)
class How:
    """`owner` None: owners stay as they are. `mode` None: modes too. `latest`: no time after it, in nanoseconds."""

    owner: Owner | None = Owner()
    mode: int | None = None
    latest: int | None = None
    now: int = 0


def destination(working_dir: str, wanted: str) -> str:
    """The absolute path; a slash at its end stays."""
    if wanted.startswith("/"):
        return wanted
    path = posixpath.normpath(posixpath.join("/", working_dir, wanted))
    path = "/" + path.lstrip("/")
    return f"{path}/" if wanted.endswith("/") and path != "/" else path


def layer(items: Sequence[Item], wanted: str, place: Place, how: How, below: Mapping[str, Place] | None = None) -> Tree:
    """The tree of a layer that adds the items at `wanted`; raises `InvalidArgument`.

    `below`: what the image has at the implied directories of archives, by their paths in these.
    """
    made = Tree()
    for path, node in place.above:
        made.put(path, replace(node, children={}))
    copying = _Copying(made, place, how, below or {})
    for item in items:
        copying.add(item, into=wanted.endswith("/"))
    return made


def folder(place: Place, how: How) -> Tree:
    """The tree of a layer that makes a directory; raises `InvalidArgument` when something else is there."""
    if place.kind:
        raise InvalidArgument(f"Cannot mkdir: /{place.path} is not a directory")
    made = Tree()
    for path, node in place.above:
        made.put(path, replace(node, children={}))
    _Copying(made, place, how, {}).folder(place.path, Owner())
    return made


class _Copying:
    def __init__(self, made: Tree, place: Place, how: How, below: Mapping[str, Place]) -> None:
        self._made, self._place, self._how, self._below = made, place, how, below
        self._there = place.kind == DIRECTORY

    def add(self, item: Item, into: bool) -> None:
        path = self._place.path
        if item.unpacked is not None:
            self._check_directory(path)
            self.folder(path, Owner())
            self._unpacked(item.unpacked, path)
        elif item.node.is_directory:
            self._directory(item.node, path)
        else:
            if into or self._there:
                path = posixpath.join(path, item.name)
            self.folder(posixpath.dirname(path), self._how.owner or Owner())
            self._made.put(path, self._copy(item.node, self._how))

    def _check_directory(self, path: str) -> None:
        if self._place.kind not in ("", DIRECTORY):
            raise InvalidArgument(f"failed to copy files: cannot copy to non-directory: /{path}")

    def _directory(self, node: Node, path: str) -> None:
        self._check_directory(path)
        self.folder(posixpath.dirname(path), Owner())
        if path and not self._there:
            owner = self._how.owner or Owner()
            self._made.put(path, directory(0o755, owner.uid, owner.gid, self._how.now))
        self._there = True
        self._contents(node, path, self._how)

    def _contents(self, node: Node, path: str, how: How) -> None:
        copies: dict[int, Node] = {}
        self._there = True
        inside = Tree()
        inside.root = node
        for name, child in inside.walk():
            copy = copies.get(id(child)) if child.kind == FILE else None
            if copy is None:
                copy = copies[id(child)] = self._copy(child, how)
            self._made.put(posixpath.join(path, name), copy)

    def _unpacked(self, archive: Tree, path: str) -> None:
        """Owners stay. What goes into a directory that the image reaches by a link goes where the link leads."""
        places, copies, how = {"": path}, dict[int, Node](), replace(self._how, owner=None)
        self._there = True
        for name, node in archive.walk():
            parent, _, last = name.rpartition("/")
            target = posixpath.join(places[parent], last)
            known = self._below.get(name) if node.implied else None
            if known is not None and known.kind == DIRECTORY:
                places[name] = known.path
                for each, folder in known.above:
                    self._made.put(each, replace(folder, children={}))
                continue
            places[name] = target
            copy = copies.get(id(node)) if node.kind == FILE else None
            if copy is None:
                copy = copies[id(node)] = self._copy(node, how)
            self._made.put(target, copy)

    def folder(self, path: str, owner: Owner) -> None:
        """The directory, made with all above it that is missing."""
        at, walked = self._made.root, ""
        for part in [each for each in path.split("/") if each]:
            walked = f"{walked}/{part}" if walked else part
            assert at.children is not None
            child = at.children.get(part)
            if child is None:
                child = at.children[part] = directory(0o755, owner.uid, owner.gid, self._how.now)
            if not child.is_directory:
                raise InvalidArgument(f"failed to copy files: mkdir /{walked}: not a directory")
            at = child

    def _copy(self, node: Node, how: How) -> Node:
        mode, uid, gid, xattrs = node.mode, node.uid, node.gid, _kept(node, how)
        if how.owner is not None:
            uid, gid = how.owner.uid, how.owner.gid
            mode = _after_chown(node)
        if how.mode is not None and node.kind != SYMLINK:
            mode = how.mode
        mtime = node.mtime // SECOND * SECOND
        if how.latest is not None:
            mtime = min(mtime, how.latest)
        return replace(
            node, mode=mode, uid=uid, gid=gid, mtime=mtime, xattrs=xattrs, children={} if node.is_directory else None
        )


def _kept(node: Node, how: How) -> dict[str, bytes]:
    """A change of owner costs a file its capabilities."""
    if how.owner is not None or CAPABILITY not in node.xattrs:
        return {}
    return {CAPABILITY: node.xattrs[CAPABILITY]}


def _after_chown(node: Node) -> int:
    """A change of owner, even to the same one, takes these bits off a file (chown(2))."""
    if node.kind == DIRECTORY:
        return node.mode
    mode = node.mode & ~SET_UID
    return mode & ~SET_GID if mode & GROUP_EXECUTES else mode


def entries(made: Tree) -> Iterator[tuple[Header, Source | None]]:
    """The layer's archive: headers in the order of names, and where each one's bytes are."""
    seen: dict[int, str] = {}
    for path, node in made.walk():
        header = Header(
            name=f"{path}/" if node.is_directory else path,
            kind=_KINDS[node.kind],
            mode=node.mode,
            uid=node.uid,
            gid=node.gid,
            mtime=node.mtime,
            link=node.link,
            major=node.major,
            minor=node.minor,
            xattrs=node.xattrs,
        )
        if node.kind != FILE:
            yield header, None
        elif id(node) in seen:
            header.kind, header.link = tar.HARD_LINK, seen[id(node)]
            yield header, None
        else:
            seen[id(node)] = path
            header.size = node.source.size if node.source else 0
            yield header, node.source


def without(item: Item, left_out: Callable[[str], bool]) -> Item | None:
    """The item without what is left out; None when that is all of it."""
    if not item.node.is_directory:
        return None if left_out(item.name) else item
    whole, kept = Tree(), Tree()
    whole.root = item.node
    kept.root = replace(item.node, children={})
    for path, node in whole.walk():
        if not left_out(path):
            kept.put(path, replace(node, children={}) if node.is_directory else node)
    return replace(item, node=kept.root)


def digest(node: Node, owned: bool) -> str:
    """What tells this file, or directory with all below, from others. Times do not count, owners only when `owned`."""
    if not node.is_directory:
        return "file:" + _line(node, "", owned).hex()
    inside = Tree()
    inside.root = node
    total = hashlib.sha256()
    for path, child in inside.walk():
        total.update(_line(child, path, owned))
    return f"dir:{total.hexdigest()}"


def _line(node: Node, path: str, owned: bool) -> bytes:
    values = (
        path, node.kind, oct(node.mode), node.link, node.major, node.minor, node.source.digest if node.source else b"",
        sorted(node.xattrs.items()), (node.uid, node.gid) if owned else (),
    )  # fmt: skip
    return hashlib.sha256(repr(values).encode("utf-8", "surrogateescape")).digest()


def digest_of(digests: Iterable[str]) -> str:
    """How the history names all sources of one instruction."""
    found = list(digests)
    if len(found) == 1:
        return found[0]
    return "multi:" + hashlib.sha256(",".join(found).encode()).hexdigest()


def file_mode(text: str) -> int | None:
    """`--chmod` as an octal number; None for none; raises `InvalidArgument`."""
    if not text:
        return None
    if not all(char in "01234567" for char in text) or int(text, 8) > 0o7777:
        raise InvalidArgument(f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777")
    return int(text, 8)
