"""The process that touches untrusted archives: own network, own root, six capabilities.

It starts in a fresh session folder, makes it its root and answers commands, a length-prefixed JSON object
each on standard input, until one of them fails. `spool` and `inflate` are followed by the archive in frames of
the same form: spool keeps every regular file of it as a numbered file, inflate the whole stream decompressed
as one. `unpack` writes one such file, a layer, into a tree, in a child whose root is that tree; a `growing` one is
followed by its sizes. Answers are JSON lines; the last one of each has `done` or `error`.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from shared.archive import confine, tar
from shared.archive.entries import EntryError
from shared.archive.reader import TarReader
from shared.archive.source import CHUNK, LimitError, Limits, Source, load, read_chunks, read_exactly, read_frames
from shared.archive.tar import TarError

from .layer_tree import LayerTree

MEMORY = 2 << 30
MOST_FILES = 50_000
"""Files in an image archive: a handful for each layer, and no more."""
MOST_DESCRIPTORS = 1 << 20
PROGRESS_SECONDS = 0.1
STDIN, STDOUT = 0, 1
_KINDS = {tar.REGULAR: "file", tar.GNU_SPARSE: "sparse", tar.DIRECTORY: "directory", tar.SYMLINK: "symlink"}
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def say(**line: Any) -> None:
    """One line of an answer."""
    data = json.dumps(line).encode() + b"\n"
    while data:
        data = data[os.write(STDOUT, data) :]


def main() -> None:
    """Serves until standard input ends."""
    os.closerange(3, MOST_DESCRIPTORS)  # whoever started it may have left some open: none may lead outside
    load()
    confine.die_with_parent()
    confine.leave_network()
    confine.limit_memory(MEMORY)
    confine.enter_root(".")
    confine.keep_capabilities((*confine.WRITING, confine.CAP_SYS_CHROOT))
    os.umask(0)
    files = Files()
    while (command := _command()) and _obey(command, files):
        pass


def _obey(command: dict[str, Any], files: Files) -> bool:
    """Does one command; False when what stands on standard input after it cannot be understood."""
    limits = Limits(*command["limits"])
    if command["do"] != "unpack":
        return _answer(lambda: files.take(command["do"], limits))
    _in_child(lambda: unpack(command, limits))
    return True


def _command() -> dict[str, Any] | None:
    length = os.read(STDIN, 1)
    if not length:
        return None
    size = int.from_bytes(length + read_exactly(STDIN, 3), "big")
    command: dict[str, Any] = json.loads(read_exactly(STDIN, size))
    return command


def _answer(work: Callable[[], dict[str, Any]]) -> bool:
    """Says what came of it; an archive's fault and the host's are told apart. False for an error."""
    try:
        say(done=work())
        return True
    except (TarError, EntryError, LimitError, MemoryError) as error:
        say(error=str(error) or "the archive takes too much memory", kind="invalid_argument")
    except OSError as error:
        say(error=f"cannot write: {error.strerror or error}", kind="resource_exhausted")
    return False


def _in_child(work: Callable[[], dict[str, Any]]) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            confine.die_with_parent()
            _answer(work)
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        say(error=f"unpacking ended with status {status}", kind="internal")


class Files:
    """The numbered files of this session."""

    def __init__(self) -> None:
        self._next = 0

    def take(self, what: str, limits: Limits) -> dict[str, Any]:
        frames = read_frames(STDIN)
        return self._inflate(frames, limits) if what == "inflate" else self._spool(frames, limits)

    def _new(self) -> tuple[str, int]:
        name = str(self._next)
        self._next += 1
        return name, os.open(name, _NEW_FILE, 0o600)

    def _inflate(self, frames: Iterator[bytes], limits: Limits) -> dict[str, Any]:
        source = Source(frames, limits)
        name, out = self._new()
        try:
            while piece := source.some():
                _write(out, piece)
        finally:
            os.close(out)
        return {"file": name, "digest": source.digest, "size": source.size}

    def _spool(self, frames: Iterator[bytes], limits: Limits) -> dict[str, Any]:
        source = Source(frames, limits, hashed=False)
        reader = TarReader(source, Limits(limits.bytes, min(limits.entries, MOST_FILES), limits.ratio))
        for header in reader:
            entry = {"name": header.name, "kind": _KINDS.get(header.kind, "other"), "link": header.link}
            if entry["kind"] == "file" and header.parts is None:
                entry |= self._keep(header.size, reader.data())
            say(entry=entry)
        _check_end(reader)
        return {"size": source.size}

    def _keep(self, size: int, data: Iterator[memoryview]) -> dict[str, Any]:
        name, out = self._new()
        digest = hashlib.sha256()
        try:
            for piece in data:
                digest.update(piece)
                _write(out, piece)
        finally:
            os.close(out)
        return {"file": name, "digest": f"sha256:{digest.hexdigest()}", "size": size}


def unpack(command: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Writes the layer in file `file` into the directory `tree`. Runs in a child of its own."""
    blob = os.open(command["file"], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    confine.enter_root(command["tree"])
    confine.keep_capabilities(confine.WRITING)
    chunks = _growing(blob) if command.get("growing") else read_chunks(blob)
    source = Source(_told(chunks), limits, hashed=command["hashed"])
    reader, writer = TarReader(source, limits), LayerTree(limits.bytes)
    for header in reader:
        writer.apply(header, reader.data())
    if command["whole"]:
        _check_end(reader)
    writer.finish()
    return {
        "digest": source.digest,
        "bytes": source.size,
        "size": writer.size,
        "opaque": sorted(writer.opaque),
        "implied": sorted(writer.implied),
    }


def _check_end(reader: TarReader) -> None:
    """Nothing vouches for an archive that came in alone: one cut off between two entries must not pass."""
    if reader.entries and not reader.ended:
        raise TarError("unexpected EOF: the archive is cut short")


def _growing(blob: int) -> Iterator[bytes]:
    """A file that is still being written: standard input says, eight bytes each, how much of it there is; 0: all."""
    at = 0
    while there := int.from_bytes(read_exactly(STDIN, 8), "big"):
        while at < there:
            piece = os.read(blob, min(CHUNK, there - at))
            if not piece:
                raise TarError("the file is shorter than it was")
            at += len(piece)
            yield piece


def _told(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks, telling now and then how far they are."""
    passed, told = 0, time.monotonic()
    for chunk in chunks:
        passed += len(chunk)
        if time.monotonic() - told >= PROGRESS_SECONDS:
            told = time.monotonic()
            say(progress=passed)
        yield chunk


def _write(out: int, piece: memoryview | bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(out, rest) :]
