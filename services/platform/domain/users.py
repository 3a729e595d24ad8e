"""Users and groups of a container, looked up in its own passwd(5) and group(5) files.

The rules are those of Docker: a numeric user needs no entry, supplementary groups count only when no group
was named, the first match wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from shared.errors import InvalidArgument

HIGHEST = (1 << 31) - 1


class Ids(msgspec.Struct, frozen=True):
    """What a process runs as; `groups` are the supplementary ones, the primary first."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = (0,)
    home: str = "/"


class _User(msgspec.Struct, frozen=True):
    name: str
    uid: int
    gid: int
    home: str


class _Group(msgspec.Struct, frozen=True):
    name: str
    gid: int
    members: tuple[str, ...]


def resolve(user: str, group_add: Iterable[str], passwd: str, group: str) -> Ids:
    """Ids for `name|uid[:group|gid]` (empty: root) and for additional groups.

    Raises `InvalidArgument` in Docker's words when a name has no entry or a number is out of range.
    """
    name, wanted_group, *_ = [*user.split(":"), ""]  # as in dockerd, what follows counts for nothing
    account = _account(name, passwd)
    groups = list(_groups(group))
    gid = account.gid
    supplementary: tuple[int, ...] = ()
    if wanted_group:
        gid = _gid(wanted_group, groups, f"unable to find group {wanted_group}: no matching entries in group file")
    elif account.name:
        supplementary = tuple(g.gid for g in groups if account.name in g.members)
    more = tuple(_gid(g, groups, f"Unable to find group {g}: no matching entries in group file") for g in group_add)
    return Ids(account.uid, gid, tuple(dict.fromkeys((gid, *supplementary, *more))), account.home or "/")


def _account(name: str, passwd: str) -> _User:
    number = _number(name) if name else 0
    for user in _users(passwd):
        if user.uid == number if number is not None else user.name == name:
            return user
    if number is None:
        raise InvalidArgument(f"unable to find user {name}: no matching entries in passwd file")
    return _User("", _ranged(number), 0, "/")


def _gid(wanted: str, groups: list[_Group], missing: str) -> int:
    number = _number(wanted)
    for group in groups:
        if group.gid == number if number is not None else group.name == wanted:
            return group.gid
    if number is None:
        raise InvalidArgument(missing)
    return _ranged(number)


def _ranged(number: int) -> int:
    if not 0 <= number <= HIGHEST:
        raise InvalidArgument("uids and gids must be in range 0-2147483647")
    return number


def _number(text: str) -> int | None:
    digits = text[1:] if text[:1] in ("+", "-") else text
    return int(text) if digits.isascii() and digits.isdigit() else None


def _users(passwd: str) -> Iterator[_User]:
    for fields in _lines(passwd, 4):
        if (uid := _number(fields[2])) is not None and (gid := _number(fields[3])) is not None:
            yield _User(fields[0], uid, gid, fields[5] if len(fields) > 5 else "")


def _groups(group: str) -> Iterator[_Group]:
    for fields in _lines(group, 3):
        if (gid := _number(fields[2])) is not None:
            members = fields[3].split(",") if len(fields) > 3 else ()
            yield _Group(fields[0], gid, tuple(m.strip() for m in members if m.strip()))


def _lines(text: str, least: int) -> Iterator[list[str]]:
    """The colon-separated fields of each entry; comments and damaged lines are passed over."""
    for line in text.splitlines():
        fields = line.strip().split(":")
        if len(fields) >= least and fields[0] and not fields[0].startswith("#"):
            yield fields
