"""Device nodes of the host."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from shared.contracts.platform import CreateRequest
from shared.errors import InvalidArgument

from ..domain.devices import Node, check_access

DEV = Path("/dev")
_NOT_GIVEN = frozenset(("pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"))
"""Parts of /dev that a workload has of its own."""


def requested(request: CreateRequest) -> tuple[Node, ...]:
    """All nodes for a request: the mapped ones, and for a privileged workload all of the host's."""
    privileged = request.process.privileged
    found = {node.path: node for node in (_all(DEV) if privileged else ())}
    for mapping in request.resources.devices:
        inside = mapping.path_in_container or mapping.path_on_host
        access = "rwm" if privileged else check_access(mapping.cgroup_permissions or "rwm")
        found |= {node.path: node for node in _mapped(mapping.path_on_host, inside, access)}
    return tuple(found.values())


def numbers(path: str) -> tuple[int, int]:
    """Major and minor number of a node. `InvalidArgument` when there is none."""
    try:
        device = os.stat(path).st_rdev
    except OSError as error:
        raise InvalidArgument(f"stat {path}: {_reason(error)}") from None
    return os.major(device), os.minor(device)


def _mapped(host: str, inside: str, access: str) -> list[Node]:
    """One node, or with a folder all nodes in it."""
    try:
        real = os.path.realpath(host, strict=True)
        node = _node(Path(real), inside, access)
    except OSError as error:
        raise InvalidArgument(_failed(host, _reason(error))) from None
    if node is not None:
        return [node]
    if not os.path.isdir(real):
        raise InvalidArgument(_failed(host, "not a device node"))
    nodes = [_node(path, inside + str(path)[len(real) :], access) for path in sorted(Path(real).rglob("*"))]
    return [node for node in nodes if node]


def _failed(path: str, why: str) -> str:
    return f'error gathering device information while adding custom device "{path}": {why}'


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _all(folder: Path) -> Iterator[Node]:
    for entry in os.scandir(folder):
        if entry.name in _NOT_GIVEN:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _all(Path(entry.path))
        elif node := _node(Path(entry.path), entry.path, "rwm"):
            yield node


def _node(path: Path, inside: str, access: str) -> Node | None:
    status = path.lstat()
    kind = "b" if stat.S_ISBLK(status.st_mode) else "c" if stat.S_ISCHR(status.st_mode) else ""
    if not kind:
        return None
    major, minor = os.major(status.st_rdev), os.minor(status.st_rdev)
    mode = stat.S_IMODE(status.st_mode)
    return Node(inside, kind, major, minor, mode, status.st_uid, status.st_gid, access)
