"""`--chown` resolved by the image's own files (Docker's `parseChownFlag`)."""

from __future__ import annotations

import re

from shared.errors import InvalidArgument

from .copying import Owner

_NUMBER = re.compile(r"[+-]?[0-9]{1,10}\Z")
_LARGEST = (1 << 31) - 1


def owner(chown: str, passwd: bytes, group: bytes) -> Owner:
    """`user`, `user:group` by name or number; the group of a user alone has the user's name. `InvalidArgument`."""
    parts = chown.split(":")
    if len(parts) > 2:
        raise _cannot(f"invalid chown string format: {chown}")
    user, wanted = parts[0], parts[-1]
    uid = _id(user, passwd)
    if uid is None:
        raise _cannot(f"can't find uid for user {user}: no such user: {user}")
    gid = _id(wanted, group)
    if gid is None:
        raise _cannot(f"can't find gid for group {wanted}: no such group: {wanted}")
    return Owner(uid, gid)


def _cannot(why: str) -> InvalidArgument:
    return InvalidArgument(f"unable to convert uid/gid chown string to host mapping: {why}")


def _id(name: str, file: bytes) -> int | None:
    """The third field of the line that begins with the name."""
    if _NUMBER.match(name):
        number = int(name)
        if not 0 <= number <= _LARGEST:
            raise _cannot(f"uids and gids must be in range 0-{_LARGEST}")
        return number
    for line in file.decode(errors="surrogateescape").splitlines():
        fields = line.strip().split(":")
        if fields[0] == name and len(fields) > 2 and fields[2].isdigit():
            return int(fields[2])
    return None
