"""Device nodes of a workload and the rules which it may use (runtime-spec `linux.devices`, `resources.devices`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from shared.errors import InvalidArgument

_RULE = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})\Z")
_PERMISSIONS = re.compile(r"[rwm]{1,3}\Z")


class Node(msgspec.Struct, frozen=True):
    """A device node as found on the host, at the path it gets in the workload."""

    path: str
    kind: str
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0
    access: str = "rwm"


_ALWAYS = ((1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1))
"""zero, null, urandom, random, tty, console: nodes that every workload has."""


def check_access(text: str) -> str:
    """Cgroup permissions of a device mapping; `InvalidArgument` for other letters than r, w and m."""
    if not _PERMISSIONS.match(text):
        raise InvalidArgument(f"bad format for device cgroup permissions: {text!r}")
    return text


def nodes(found: Iterable[Node]) -> list[dict[str, Any]]:
    """`linux.devices`."""
    return [
        {
            "path": node.path,
            "type": node.kind,
            "major": node.major,
            "minor": node.minor,
            "fileMode": node.mode & 0o7777,
            "uid": node.uid,
            "gid": node.gid,
        }
        for node in found
    ]


def rules(found: Iterable[Node], written: Iterable[str], privileged: bool) -> list[dict[str, Any]]:
    """`linux.resources.devices`: nothing but the default nodes and what was asked for; privileged: everything."""
    if privileged:
        return [{"allow": True, "access": "rwm"}]
    answer: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    answer += [_allow("c", major, minor, "rwm") for major, minor in _ALWAYS]
    answer += [_allow(node.kind, node.major, node.minor, node.access) for node in found if node.kind in "bc"]
    return answer + [_parse(text) for text in written]


def _parse(text: str) -> dict[str, Any]:
    """A rule of --device-cgroup-rule, as `c 1:3 rwm`, with `*` for any number."""
    match = _RULE.match(text)
    if match is None:
        raise InvalidArgument(f"invalid device cgroup rule format: '{text}'")
    kind, major, minor, access = match.groups()
    return _allow(kind, _number(major), _number(minor), access)


def _number(text: str) -> int | None:
    return None if text == "*" else int(text)


def _allow(kind: str, major: int | None, minor: int | None, access: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"allow": True, "type": kind, "access": access}
    if major is not None:
        rule["major"] = major
    if minor is not None:
        rule["minor"] = minor
    return rule
