"""What counts as a change of a file, and how changes are told (dockerd's `archive.Changes`)."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from typing import Protocol

from shared.contracts.image_store import Change

MODIFIED, ADDED, DELETED = 0, 1, 2
_SECOND = 1_000_000_000


class Status(Protocol):
    """What stat(2) says of a file."""

    @property
    def st_mode(self) -> int: ...

    @property
    def st_uid(self) -> int: ...

    @property
    def st_gid(self) -> int: ...

    @property
    def st_rdev(self) -> int: ...

    @property
    def st_size(self) -> int: ...

    @property
    def st_mtime_ns(self) -> int: ...


def different(old: Status, new: Status) -> bool:
    """Whether a file was changed. A directory's size and time say nothing: they change with what is in it."""
    if (old.st_mode, old.st_uid, old.st_gid, old.st_rdev) != (new.st_mode, new.st_uid, new.st_gid, new.st_rdev):
        return True
    return not stat.S_ISDIR(old.st_mode) and (old.st_size != new.st_size or not same_time(old, new))


def same_time(old: Status, new: Status) -> bool:
    """Equal, or in the same second where one of them knows no more (it came out of an archive)."""
    first, second = old.st_mtime_ns, new.st_mtime_ns
    return first == second or (first // _SECOND == second // _SECOND and 0 in (first % _SECOND, second % _SECOND))


def complete(kinds: dict[str, int]) -> Iterable[Change]:
    """The changes by path, and before what changed in a directory that directory as modified (but not the root)."""
    for path in tuple(kinds):
        while (path := path.rpartition("/")[0]) and path not in kinds:
            kinds[path] = MODIFIED
    return (Change(path=path, kind=kinds[path]) for path in sorted(kinds))
