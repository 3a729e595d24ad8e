"""Archives that no honest tool makes, and what processes took of memory at most."""

from __future__ import annotations

import io
import struct
import tarfile
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import zstandard
from isal import isal_zlib

from tools.images import directory, entry, symlink

Entries = Sequence[tuple[tarfile.TarInfo, bytes]]


def escapes(canary: Path) -> Mapping[str, Entries]:
    """Layers that try to write to the canary's folder, to / and to /tmp."""
    up = "../" * 12
    folder = canary.parent
    return {
        "dot dot": [entry(f"{up}{folder}/escaped", b"x"), entry(f"{up}tmp/escaped", b"x")],
        "dot dot inside": [entry(f"a/b/{up}{folder}/escaped", b"x")],
        "absolute": [entry(f"{folder}/escaped", b"x"), entry("/tmp/escaped", b"x")],
        "over a link to a folder": [symlink("out", str(folder)), entry("out/escaped", b"x"), entry("out/canary", b"x")],
        "over a relative link": [symlink("out", f"{up}{folder}"), entry("out/escaped", b"x")],
        "over two links": [symlink("one", str(folder)), symlink("two", "one"), entry("two/escaped", b"x")],
        "a folder that becomes a link": [directory("d"), symlink("d", str(folder)), entry("d/escaped", b"x")],
        "a file over a link": [symlink("f", str(canary)), entry("f", b"x")],
        "hard link outside": [entry("h", kind=tarfile.LNKTYPE, link=str(canary)), entry("h", b"x")],
        "hard link by dot dot": [entry("h", kind=tarfile.LNKTYPE, link=f"{up}{canary}"), entry("h", b"x")],
        "hard link over a link": [symlink("out", str(folder)), entry("h", kind=tarfile.LNKTYPE, link="out/canary")],
        "whiteout by dot dot": [entry(f"{up}{folder}/.wh.canary")],
        "whiteout over a link": [symlink("out", str(folder)), entry("out/.wh.canary")],
        "whiteout of dot dot": [entry("d/.wh..."), entry("d/.wh..")],
        "opaque over a link": [symlink("out", str(folder)), entry("out/.wh..wh..opq")],
        "folder mode over a link": [symlink("out", str(folder)), directory("out", 0o000)],
        "removed root": [entry(".wh..wh..opq"), entry(".wh.bin")],
    }  # fmt: skip


def bomb(compression: str, size: int) -> bytes:
    """A compressed tar with one file of zeros: more than a thousand times as large unpacked."""
    info = tarfile.TarInfo("zeros")
    info.size = size
    return _gzip_bomb(info.tobuf(), size) if compression == "gzip" else _zstd_bomb(info.tobuf(), size)


def _zstd_bomb(head: bytes, size: int) -> bytes:
    zeros, buffer = bytes(1 << 20), io.BytesIO()
    with zstandard.ZstdCompressor(level=3).stream_writer(buffer, closefd=False) as writer:
        writer.write(head)
        for _ in range(size >> 20):
            writer.write(zeros)
    return buffer.getvalue()


def _gzip_bomb(head: bytes, size: int) -> bytes:
    """Of one piece, compressed once and written as often as it takes."""
    zeros = bytes(1 << 24)
    packer, checksum = zlib.compressobj(9, zlib.DEFLATED, -15), isal_zlib.crc32(head)
    begin = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(size >> 24):
        checksum = isal_zlib.crc32(zeros, checksum)
    end = struct.pack("<II", checksum, (len(head) + size) & 0xFFFFFFFF)
    return b"\x1f\x8b\x08" + bytes(7) + begin + piece * (size >> 24) + packer.flush() + end


def sparse_bomb() -> tuple[tarfile.TarInfo, bytes]:
    """A GNU sparse file of a terabyte without a byte in it."""
    info = tarfile.TarInfo("sparse")
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "sparse",
        "GNU.sparse.realsize": str(1 << 40),
    }
    body = b"1\n0\n0\n".ljust(512, b"\0")
    info.size = len(body)
    return info, body


class Peak:
    """Inside a `with` block: the most memory (VmHWM) that any one of these processes, those to come included, has had.

    The kernel keeps the most of each process; it is read often, since nobody tells when a process is about to end.
    """

    SECONDS = 0.01

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        self._pids = pids
        self.most = 0
        """Bytes."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        for pid in self._pids():
            with suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc_pid_clear_refs(5): what was before is forgotten
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self.SECONDS):
            for pid in self._pids():
                with suppress(OSError, IndexError):
                    said = Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2]
                    self.most = max(self.most, int(said.split(maxsplit=1)[0]) << 10)
