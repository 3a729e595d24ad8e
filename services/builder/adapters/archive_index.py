"""From a tar, compressed or not, to a tree: its files' bytes stay in a spool, nothing is unpacked.

Blocks; run in a thread. Every byte is read once here, and hashed on the way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from shared.archive import tar
from shared.archive.compression import HEAD, recognise
from shared.archive.source import MOST_IMPLIED
from shared.archive.tar import Header
from shared.errors import InvalidArgument, NotFound

from ..domain.tree import BLOCK, CHARACTER, DIRECTORY, FIFO, FILE, SYMLINK, Node, Source, Tree
from .spool import CHUNK, Spools

MOST_ENTRIES = 500_000
LONGEST_PATH = 4096
MOST_TEXT = 64 << 20
"""Bytes of names, links and attributes that are held in memory."""
_KINDS = {tar.REGULAR: FILE, tar.GNU_SPARSE: FILE, tar.DIRECTORY: DIRECTORY, tar.SYMLINK: SYMLINK, tar.FIFO: FIFO,
          tar.CHARACTER: CHARACTER, tar.BLOCK_DEVICE: BLOCK}  # fmt: skip


def index(spools: Spools, number: int, limits: tuple[int, int, int], begin: int = 0, size: int = -1) -> Tree:
    """The tree of the archive in a spool (or of `size` bytes of it); raises `InvalidArgument` for what is none."""
    from shared.archive.reader import TarReader
    from shared.archive.source import LimitError, Limits
    from shared.archive.source import Source as Bytes
    from shared.archive.tar import TarError

    size = spools.size(number) - begin if size < 0 else size
    bounds = Limits(limits[0], min(limits[1], MOST_ENTRIES), limits[2])
    plain = recognise(spools.read(number, begin, HEAD)) == "none"
    try:
        source = Bytes(_chunks(spools, number, begin, size), bounds, hashed=False)
        return _Indexing(spools, source, TarReader(source, bounds), (number, begin) if plain else None).run()
    except (TarError, LimitError, MemoryError) as error:
        raise InvalidArgument(str(error) or "the archive takes too much memory") from None


def is_archive(spools: Spools, source: Source) -> bool:
    """Whether a file begins as a tar does, compressed or not (Docker's `IsArchivePath`)."""
    from shared.archive.source import LimitError, Limits
    from shared.archive.source import Source as Bytes
    from shared.archive.tar import TarError

    try:
        data = Bytes(_chunks(spools, source.spool, source.offset, source.size), Limits(1 << 40, 1, 1 << 20), False)
        block = data.read(tar.BLOCK)
        return len(block) == tar.BLOCK and tar.parse(block) is not None
    except (TarError, LimitError, MemoryError):
        return False


def _chunks(spools: Spools, number: int, begin: int, size: int) -> Iterator[bytes]:
    while size and (data := spools.read(number, begin, min(size, CHUNK))):
        begin, size = begin + len(data), size - len(data)
        yield data


class _Indexing:
    """`in_place`: spool and offset where the plain archive lies, so that its files need not be written again."""

    def __init__(self, spools: Spools, source: object, reader: object, in_place: tuple[int, int] | None) -> None:
        self._spools, self._source, self._reader = spools, source, reader
        self._in_place = in_place
        self._spool = in_place[0] if in_place else spools.new()
        self._text = 0
        self._tree = Tree()

    def run(self) -> Tree:
        for header in self._reader:  # type: ignore[attr-defined]
            self._take(header)
        if self._reader.entries and not self._reader.ended:  # type: ignore[attr-defined]
            raise InvalidArgument("unexpected EOF: the archive is cut short")
        return self._tree

    def _take(self, header: Header) -> None:
        if len(header.name) > LONGEST_PATH or len(header.link) > LONGEST_PATH:
            raise InvalidArgument(f"a path of more than {LONGEST_PATH} bytes: {header.name[:100]!r}...")
        try:
            self._put(header)
            self._count(header)
        except NotFound as error:  # a link on its way leads out of the archive, or nowhere
            raise InvalidArgument(f"{header.name[:200]!r}: {error.message}") from None

    def _count(self, header: Header) -> None:
        """What the tree has grown by; raises `InvalidArgument` when that is more than it may take of memory."""
        attributes = sum(len(name) + len(value) for name, value in header.xattrs.items())
        self._text += len(header.name.rpartition("/")[2]) + len(header.link) + attributes
        if self._tree.implied > MOST_IMPLIED:
            raise InvalidArgument(f"the archive has more than {MOST_IMPLIED} directories that no entry describes")
        if self._text > MOST_TEXT:
            raise InvalidArgument(f"names, links and attributes of the archive take more than {MOST_TEXT} bytes")

    def _put(self, header: Header) -> None:
        if header.kind == tar.HARD_LINK:
            self._tree.link(header.name, header.link)
            return
        kind = _KINDS.get(header.kind)
        if kind is None:
            raise InvalidArgument(f"unhandled tar header type {header.kind[0]} of {header.name[:200]!r}")
        node = Node(
            kind, header.mode, header.uid, header.gid, header.mtime,
            header.link if kind == SYMLINK else "", header.major, header.minor,
            xattrs=header.xattrs, children={} if kind == DIRECTORY else None,
        )  # fmt: skip
        if kind == FILE:
            node.source = self._keep(header)
        self._tree.put(header.name, node)

    def _keep(self, header: Header) -> Source:
        if header.parts is not None:
            raise InvalidArgument(f"sparse files are not supported: {header.name[:200]!r}")
        digest = hashlib.sha256()
        offset = self._in_place[1] + self._source.position if self._in_place else self._spools.size(self._spool)  # type: ignore[attr-defined]
        for piece in self._reader.data():  # type: ignore[attr-defined]
            digest.update(piece)
            if not self._in_place:
                self._spools.append(self._spool, piece)
        return Source(self._spool, offset, header.size, digest.digest())
