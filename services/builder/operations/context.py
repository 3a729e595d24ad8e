"""Where a build's files come from, and which Dockerfile it follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from shared.dockerfile.parser import Parsed, parse
from shared.errors import InvalidArgument, NotFound

from ..adapters.archive_index import index
from ..adapters.spool import Spools
from ..domain.ignore import Ignore, read
from ..domain.tree import FILE, Node, Tree

DEFAULT = "Dockerfile"
IGNORED = ".dockerignore"
Limits = tuple[int, int, int]


@dataclass(frozen=True)
class Context:
    """`tree` None: there are no files, only the Dockerfile."""

    parsed: Parsed
    tree: Tree | None


async def received(spools: Spools, incoming: AsyncIterator[bytes], limits: Limits) -> tuple[int, Tree]:
    """The archive that the client sends, in a spool, and its tree; raises `InvalidArgument`."""
    number = spools.new()
    async for data in incoming:
        if spools.size(number) + len(data) > limits[0]:
            raise InvalidArgument(f"the build context is larger than {limits[0]} bytes (max_unpack_bytes)")
        spools.append(number, data)
    if not spools.size(number):
        return number, Tree()
    return number, await asyncio.to_thread(index, spools, number, limits)


def with_dockerfile(spools: Spools, tree: Tree, name: str) -> Context:
    """The Dockerfile of a context, which is then without what it ignores; raises `InvalidArgument`."""
    name = name or DEFAULT
    node = _file(tree, name)
    if node is None and name == DEFAULT:
        node = _file(tree, name.lower())
        name = name.lower() if node else name
    if node is None:
        raise InvalidArgument(f"Cannot locate specified Dockerfile: {name}")
    parsed = parsed_of(_bytes(spools, node), name)
    _leave_out(spools, tree, name)
    return Context(parsed, tree)


def parsed_of(data: bytes, name: str) -> Parsed:
    """The parsed Dockerfile; raises `InvalidArgument`."""
    if not data:
        raise InvalidArgument(f"the Dockerfile ({name}) cannot be empty")
    try:
        return parse(data)
    except InvalidArgument as error:
        raise InvalidArgument(f"failed to parse {name}: {error.message}") from None


def _file(tree: Tree, name: str) -> Node | None:
    try:
        node = tree.find(name)[0]
    except NotFound:
        return None
    return node if node.kind == FILE else None


def _bytes(spools: Spools, node: Node) -> bytes:
    if node.source is None or node.source.size > 8 << 20:
        raise InvalidArgument("the file is too large")
    return spools.read(node.source.spool, node.source.offset, node.source.size)


def _leave_out(spools: Spools, tree: Tree, dockerfile: str) -> None:
    """`<Dockerfile>.dockerignore` is no client's business, so it is followed here. `.dockerignore` was, by the client:
    of what it had to send all the same, two files are left.
    """
    own = _file(tree, f"{dockerfile}{IGNORED}")
    if own is not None:
        ignore = Ignore(read(_bytes(spools, own)))
        for path in [path for path, node in tree.walk() if not node.is_directory or not ignore.inverted]:
            if ignore.matches(path):
                tree.remove(path)
        return
    common = _file(tree, IGNORED)
    if common is None:
        return
    ignore = Ignore(read(_bytes(spools, common)))
    for path in (IGNORED, dockerfile):
        if ignore.matches(path):
            tree.remove(path)
