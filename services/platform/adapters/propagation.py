"""Whether bind mounts can have the propagation asked for: that is a matter of the host's mount below their source."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from shared import hostmounts
from shared.contracts.container import MountPoint
from shared.errors import Unknown

_SHARED = frozenset(("shared", "rshared"))
_SLAVE = frozenset(("slave", "rslave"))


def check(points: Iterable[MountPoint]) -> None:
    """Refuses what the runtime would make all the same, as a mount that propagates nothing.

    Raises `Unknown` in dockerd's words. A source that is not there is left to the runtime, which says so.
    """
    for point in points:
        if point.type == "bind" and point.propagation in _SHARED | _SLAVE:
            with contextlib.suppress(FileNotFoundError):
                _check(point)


def _check(point: MountPoint) -> None:
    below = hostmounts.mount_of(point.source)
    slave = point.propagation in _SLAVE
    if not (below.shared or (slave and below.slave)):
        needed = "shared or slave" if slave else "shared"
        raise Unknown(f"path {point.source} is mounted on {below.point} but it is not a {needed} mount")
