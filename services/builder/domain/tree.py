"""A tree of files as archives describe it: the build context, a part of an image, or what a layer will hold.

Nothing of it is on a disk under its name: links are followed here, inside the tree, and cannot lead out of it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shared import glob
from shared.errors import InvalidArgument, NotFound

MOST_LINKS = 255
DEEPEST = 200
"""Folders inside folders that a pattern can reach."""
FILE, DIRECTORY, SYMLINK, FIFO, CHARACTER, BLOCK = "file", "directory", "symlink", "fifo", "character", "block"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file's bytes are: `size` of them at `offset` in spool number `spool`; `digest` their SHA-256."""

    spool: int
    offset: int
    size: int
    digest: bytes


@dataclass(slots=True, eq=False)
class Node:
    """One file. `children`: of a directory. `mtime` in nanoseconds. The same node in two places is a hard link.

    `implied`: a directory that no entry describes, there because something is in it.
    """

    kind: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    link: str = ""
    major: int = 0
    minor: int = 0
    source: Source | None = None
    xattrs: dict[str, bytes] = field(default_factory=dict)
    children: dict[str, Node] | None = None
    implied: bool = False

    @property
    def is_directory(self) -> bool:
        return self.kind == DIRECTORY


def directory(mode: int = 0o755, uid: int = 0, gid: int = 0, mtime: int = 0) -> Node:
    """A new empty one."""
    return Node(DIRECTORY, mode, uid, gid, mtime, children={})


def parts_of(path: str) -> list[str]:
    """The names of a clean path; raises `InvalidArgument` for one that leads above the root."""
    clean = posixpath.normpath("/" + path if not path.startswith("/") else path).lstrip("/")
    if posixpath.normpath(path).split("/")[0] == ".." or "\0" in path:
        raise InvalidArgument(f"invalid path: {path[:200]!r} leads outside of the archive")
    return [part for part in clean.split("/") if part not in ("", ".")]


class Tree:
    """Files by path. Paths have no leading slash; "" is the root."""

    def __init__(self) -> None:
        self.root = directory()
        self.implied = 0
        """Directories made because something is in them."""

    def put(self, path: str, node: Node) -> None:
        """Puts a file in its place, instead of what was there; a directory joins the one that is there."""
        *above, name = parts_of(path) or [""]
        if not name:
            _describe(self.root, node)
            return
        parent = self._folder(above)
        assert parent.children is not None
        present = parent.children.get(name)
        if present is not None and present.is_directory and node.is_directory:
            _describe(present, node)
            return
        parent.children[name] = node

    def link(self, path: str, target: str) -> None:
        """A hard link; raises `InvalidArgument` when there is nothing to link to."""
        try:
            node = self.find("/".join(parts_of(target)), follow=False)[0]
        except NotFound:
            raise InvalidArgument(f"hard link {path[:200]!r} to {target[:200]!r}, which is not there") from None
        if node.is_directory:
            raise InvalidArgument(f"hard link {path[:200]!r} to {target[:200]!r}, which is a directory")
        self.put(path, node)

    def _folder(self, parts: list[str]) -> Node:
        """The directory of that path, made where it is missing; links on the way are followed."""
        at = self.root
        walked: list[str] = []
        for part in parts:
            assert at.children is not None
            child = at.children.get(part)
            if child is not None and child.kind == SYMLINK:
                child, real = self.find("/".join((*walked, part)))
                walked = real.split("/") if real else []
            else:
                walked.append(part)
            if child is None:
                child = at.children[part] = directory()
                child.implied = True
                self.implied += 1
            if not child.is_directory:
                raise InvalidArgument(f"{'/'.join(parts)[:200]!r}: not a directory")
            at = child
        return at

    def remove(self, path: str) -> None:
        """Takes a file or directory away; none there is no error."""
        *above, name = parts_of(path) or [""]
        try:
            parent = self.find("/".join(above), follow=False)[0]
        except NotFound:
            return
        if parent.children is not None:
            parent.children.pop(name, None)

    def find(self, path: str, follow: bool = True) -> tuple[Node, str]:
        """The file and its own path, links on the way followed (the last one too when `follow`); raises `NotFound`."""
        pending = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        trail: list[tuple[str, Node]] = []
        links = 0
        while pending:
            part = pending.pop()
            if part == "..":
                trail = trail[:-1]
                continue
            at = trail[-1][1] if trail else self.root
            child = at.children.get(part) if at.children is not None else None
            if child is None:
                raise NotFound(f"{path}: no such file or directory")
            if child.kind == SYMLINK and (follow or pending):
                links += 1
                if links > MOST_LINKS:
                    raise InvalidArgument(f"{path[:200]!r}: too many links")
                trail = [] if child.link.startswith("/") else trail
                pending += [each for each in reversed(child.link.split("/")) if each not in ("", ".")]
                continue
            trail.append((part, child))
        return (trail[-1][1] if trail else self.root), "/".join(name for name, _ in trail)

    def match(self, pattern: str) -> list[str]:
        """Paths that match a pattern of Go's `path.Match`, in the order of a walk; links are not followed."""
        if pattern.count("/") > DEEPEST:
            return []
        try:
            parts = [glob.parse(part) for part in pattern.split("/")]
        except InvalidArgument:
            return []
        return list(_matching(self.root, "", parts))

    def walk(self, start: Node | None = None) -> Iterator[tuple[str, Node]]:
        """All files below in the order of their names, each directory before what it holds."""
        yield from _walk(start or self.root, "")


def _describe(present: Node, like: Node) -> None:
    present.mode, present.uid, present.gid, present.mtime = like.mode, like.uid, like.gid, like.mtime
    present.xattrs, present.implied = like.xattrs, like.implied


def _matching(node: Node, prefix: str, parts: list[tuple[glob.Token, ...]]) -> Iterator[str]:
    for name, child in sorted((node.children or {}).items()):
        if glob.matches(parts[0], name):
            if len(parts) == 1:
                yield prefix + name
            elif child.is_directory:
                yield from _matching(child, f"{prefix}{name}/", parts[1:])


def _walk(node: Node, prefix: str) -> Iterator[tuple[str, Node]]:
    waiting: list[Iterator[tuple[str, Node]]] = [_children(node, prefix)]
    while waiting:
        found = next(waiting[-1], None)
        if found is None:
            waiting.pop()
            continue
        yield found
        if found[1].is_directory:
            waiting.append(_children(found[1], found[0] + "/"))


def _children(node: Node, prefix: str) -> Iterator[tuple[str, Node]]:
    return iter([(prefix + name, child) for name, child in sorted((node.children or {}).items())])


def only(tree: Tree, keep: Iterable[str]) -> None:
    """Takes away all but the given paths and the directories they are in."""
    kept = set(keep)
    above = {"/".join(path.split("/")[:length]) for path in kept for length in range(1, path.count("/") + 1)}
    for path, _ in [each for each in tree.walk() if each[0] not in kept and each[0] not in above]:
        tree.remove(path)
