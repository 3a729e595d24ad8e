"""COPY and ADD: sources are found and hashed, the layer is put together from where their bytes lie."""

from __future__ import annotations

import asyncio
import hashlib
import posixpath
import re
from dataclasses import dataclass, replace

from shared import clock
from shared.contracts.image_store import Image
from shared.dockerfile.instructions import Copy
from shared.dockerfile.metadata import created_by
from shared.dockerfile.parser import Heredoc
from shared.errors import InvalidArgument, NotFound, NotImplementedYet, ShoalError

from ..adapters import archive_index
from ..adapters.fetch import fetch
from ..adapters.spool import CHUNK
from ..domain import copying, users
from ..domain.copying import How, Item, Owner, Place
from ..domain.graph import by_reference
from ..domain.ignore import Ignore
from ..domain.steps import State, Transfer
from ..domain.tree import FILE, Node, Source, Tree
from .engine import Build

MOST_IMPLIED = 1000
_URL = re.compile(r"https?://", re.IGNORECASE)
_WILD = frozenset("*?[")


@dataclass(frozen=True)
class Found:
    """Items in the order of the instruction, and what tells them from others."""

    items: tuple[Item, ...]
    digests: tuple[str, ...]


def now(build: Build) -> int:
    """The time of what is made here, in nanoseconds."""
    epoch = build.epoch()
    return clock.now_ns() // copying.SECOND * copying.SECOND if epoch is None else epoch


async def copy(build: Build, position: int, state: State, step: Transfer) -> State:
    """The state after it; raises `InvalidArgument` with Docker's text."""
    asked = step.copy
    if asked.parents:
        raise NotImplementedYet(f"{asked.command} --parents is not supported by this engine")
    mode = copying.file_mode(asked.chmod)
    found = await _sources(build, position, asked)
    if len(found.items) > 1 and not asked.destination.endswith("/"):
        raise InvalidArgument(
            f"When using {asked.command} with more than one source file, the destination must be a directory "
            "and end with a /"
        )
    history = created_by(state.config, _words(asked, found), spaced=False)
    image = await build.cached(state, history)
    if image is not None:
        build.show(position, " ---> Using cache\n")
    else:
        image = await _make(build, state, asked, found, mode, history)
    return replace(state, image_id=image.id)


def _words(asked: Copy, found: Found) -> str:
    flags = "".join(
        f"--{name}={value} "
        for name, value in (("chown", asked.chown), ("chmod", asked.chmod), ("link", "true" if asked.link else ""))
        if value
    )
    return f"{asked.command} {flags}{copying.digest_of(found.digests)} in {asked.destination} "


async def _make(build: Build, state: State, asked: Copy, found: Found, mode: int | None, history: str) -> Image:
    wanted = copying.destination(state.config.working_dir, asked.destination)
    place = Place(wanted.strip("/")) if asked.link else await build.store.place(state.image_id, wanted)
    owner: Owner | None = Owner()
    if asked.chown:
        files = () if _numeric(asked.chown) else await build.store.read(state.image_id, "etc/passwd", "etc/group")
        passwd, group = files or (b"", b"")
        owner = users.owner(asked.chown, passwd, group)
    elif asked.from_:
        owner = None
    how = How(owner, mode, build.epoch(), now(build))
    below = {} if asked.link else await _below(build, state.image_id, place, found)
    made = await asyncio.to_thread(copying.layer, found.items, wanted, place, how, below)
    return await build.add_layer(state, history, made)


async def _below(build: Build, image_id: str, place: Place, found: Found) -> dict[str, Place]:
    """What the image has where archives imply a directory."""
    names = [name for item in found.items for name in item.implied()][:MOST_IMPLIED]
    if not names:
        return {}
    places = await build.store.places(image_id, [posixpath.join(place.path, name) for name in names])
    return dict(zip(names, places, strict=True))


def _numeric(chown: str) -> bool:
    return all(part.isdigit() for part in chown.split(":"))


async def _sources(build: Build, position: int, asked: Copy) -> Found:
    items: list[Item] = []
    digests: list[str] = []
    for source in asked.sources:
        more = await _source(build, position, asked, source)
        items += more.items
        digests += more.digests
    for heredoc in asked.contents:
        item = _written(build, heredoc)
        items.append(item)
        digests.append(copying.digest(item.node, owned=False))
    found = _without(asked, Found(tuple(items), tuple(digests)))
    if not found.items:
        raise InvalidArgument(f"{asked.command} failed: no source files were specified")
    return found


def _without(asked: Copy, found: Found) -> Found:
    """What `--exclude` leaves: patterns as in an ignore file, paths from each source on."""
    if not asked.excludes:
        return found
    ignore = Ignore(asked.excludes)
    kept = [(copying.without(item, ignore.matches), item) for item in found.items]
    items = tuple(left for left, _ in kept if left is not None)
    return Found(items, tuple(copying.digest(item.node, owned=not asked.chown) for item in items))


def _written(build: Build, heredoc: Heredoc) -> Item:
    """A file whose text stands in the Dockerfile."""
    data = heredoc.text.encode()
    spool = build.spools.new()
    build.spools.append(spool, data)
    source = Source(spool, 0, len(data), hashlib.sha256(data).digest())
    return Item(Node(FILE, 0o644, mtime=now(build), source=source), posixpath.basename(heredoc.name))


async def _source(build: Build, position: int, asked: Copy, source: str) -> Found:
    if _URL.match(source):
        return await _of_url(build, asked, source)
    if posixpath.normpath(source).split("/")[0] == "..":
        raise InvalidArgument(f"{asked.command} failed: forbidden path outside the build context: {source[:200]} ()")
    if asked.from_:
        return await _of_image(build, position, asked, source)
    if build.context is None:
        raise InvalidArgument(f"{asked.command} failed: missing build context")
    return await _of_context(build, build.context, asked, source)


async def _of_url(build: Build, asked: Copy, url: str) -> Found:
    """A file that is fetched; it is not taken apart."""
    if asked.command != "ADD":
        raise InvalidArgument("COPY failed: source can't be a URL for COPY")
    try:
        fetched = await fetch(url, build.spools, build.limits[0])
    except InvalidArgument as error:
        raise InvalidArgument(f"ADD failed: {error.message}") from None
    if not fetched.name and asked.destination.endswith("/"):
        raise InvalidArgument(f"ADD failed: cannot determine filename for source {url}")
    size = build.spools.size(fetched.spool)
    digest = await asyncio.to_thread(_digest, build, fetched.spool, size)
    if asked.checksum and asked.checksum != f"sha256:{digest.hex()}":
        raise InvalidArgument(f"ADD failed: digest mismatch sha256:{digest.hex()}: {asked.checksum}")
    source = Source(fetched.spool, 0, size, digest)
    node = Node(FILE, 0o600, mtime=fetched.modified * copying.SECOND, source=source)
    item = await _item(build, asked, node, fetched.name) if asked.unpack else Item(node, fetched.name)
    return Found((item,), (copying.digest(node, owned=False),))


def _digest(build: Build, spool: int, size: int) -> bytes:
    total, at = hashlib.sha256(), 0
    while at < size:
        data = build.spools.read(spool, at, CHUNK)
        total.update(data)
        at += len(data)
    return total.digest()


def _clean(source: str) -> str:
    return source.removeprefix("/").removeprefix("./")


async def _of_context(build: Build, tree: Tree, asked: Copy, source: str) -> Found:
    path = _clean(source)
    paths = tree.match(path) if _is_wild(path) else [path]
    found = []
    for each in paths:
        try:
            node, _ = tree.find(each)
        except NotFound:
            raise InvalidArgument(
                f"{asked.command} failed: file not found in build context or excluded by .dockerignore: "
                f"stat {each}: file does not exist"
            ) from None
        found.append((node, posixpath.basename(each.rstrip("/"))))
    items = [await _item(build, asked, node, name) for node, name in found]
    digests = await asyncio.to_thread(lambda: tuple(copying.digest(node, owned=False) for node, _ in found))
    return Found(tuple(items), digests)


async def _item(build: Build, asked: Copy, node: Node, name: str) -> Item:
    """ADD takes archives apart."""
    if asked.command != "ADD" or node.source is None or asked.unpack is False:
        return Item(node, name)
    if not await asyncio.to_thread(archive_index.is_archive, build.spools, node.source):
        return Item(node, name)
    where = node.source
    tree = await asyncio.to_thread(
        archive_index.index, build.spools, where.spool, build.limits, where.offset, where.size
    )
    return Item(node, name, tree)


def _is_wild(path: str) -> bool:
    escaped = False
    for char in path:
        if not escaped and char in _WILD:
            return True
        escaped = char == "\\" and not escaped
    return False


async def _of_image(build: Build, position: int, asked: Copy, source: str) -> Found:
    stage = by_reference(build.stages, position, asked.from_)
    if stage is not None:
        image_id = (await build.result(stage)).image_id
    else:
        try:
            image_id = (await build.base(asked.from_, None, position)).id
        except ShoalError as error:
            raise type(error)(f"invalid from flag value {asked.from_}: {error.message}") from None
    path = _clean(source)
    paths = await build.store.matches(image_id, path) if _is_wild(path) else (path,)
    items = []
    for each, place in zip(paths, await build.store.places(image_id, paths), strict=True):
        if not place.kind:
            raise InvalidArgument(f"{asked.command} failed: stat {each}: file does not exist")
        items.append(await fetched(build, image_id, each, place))
    owned = not asked.chown
    digests = await asyncio.to_thread(lambda: tuple(copying.digest(item.node, owned) for item in items))
    return Found(tuple(items), digests)


async def fetched(build: Build, image_id: str, path: str, place: Place) -> Item:
    """What an image has at a place, named as it was asked for."""
    spool = await build.store.contents(image_id, place.path, build.spools)
    tree = await asyncio.to_thread(archive_index.index, build.spools, spool, build.limits)
    name = posixpath.basename(path.rstrip("/"))
    if place.kind == "directory":
        return Item(tree.root, name)
    return Item(tree.find(posixpath.basename(place.path), follow=False)[0], name)
