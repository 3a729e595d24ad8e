"""The status of a file in a container as Docker's header has it."""

from __future__ import annotations

import base64
import stat
from datetime import UTC, datetime, timedelta

import msgspec

from shared.contracts.execs import PathStat

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000_000
_LATEST = 253_402_300_799
"""The last second of the year 9999, beyond which Go writes no time either."""
_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


def go_mode(mode: int) -> int:
    """Go's `os.FileMode` for a mode of stat(2)."""
    bits = sum(shown for bit, shown in _BITS.items() if mode & bit)
    return (mode & 0o777) | _KINDS.get(stat.S_IFMT(mode), 0) | bits


def time(nanoseconds: int) -> str:
    """RFC 3339 in UTC, for any time that a file may have."""
    seconds, fraction = divmod(nanoseconds, _SECOND)
    seconds = max(-62_135_596_800, min(seconds, _LATEST))
    digits = f".{fraction:09d}".rstrip("0").rstrip(".")
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}{digits}Z"


def path_stat(found: PathStat) -> str:
    """The value of `X-Docker-Container-Path-Stat`."""
    shown = {
        "name": _text(found.name),
        "size": found.size,
        "mode": go_mode(found.mode),
        "mtime": time(found.mtime),
        "linkTarget": _text(found.link_target),
    }
    return base64.b64encode(msgspec.json.encode(shown)).decode()


def _text(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
