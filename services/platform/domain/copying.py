"""Paths of `docker cp`: how a client's path is read, where links lead, what may not be written to. Without any file."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable

from shared.contracts.container import MountPoint

MOST_LINKS = 255


class TooManyLinksError(Exception):
    """Symbolic links that lead to each other."""


def absolute(path: str) -> str:
    """The path from the root, cleaned; a slash or `/.` at its end is kept: it insists on a directory."""
    cleaned = posixpath.normpath("/" + path.lstrip("/"))
    if base(path) == "." and base(cleaned) != ".":
        return f"{cleaned.rstrip('/')}/."
    if path.endswith("/") and not cleaned.endswith("/"):
        return f"{cleaned}/"
    return cleaned


def base(path: str) -> str:
    """The last part (Go's `filepath.Base`)."""
    stripped = path.rstrip("/")
    return stripped.rpartition("/")[2] if stripped else "/"


def follow(path: str, link: Callable[[str], str | None]) -> str:
    """Where a path leads in a root of its own, as far as there is something; `link` reads one link, None: it is none.

    Raises `TooManyLinksError`.
    """
    evaluated, rest, links = "/", path, 0
    while rest:
        part, _, rest = rest.partition("/")
        if not part:
            continue
        here = posixpath.normpath(posixpath.join(evaluated, part))
        target = link(here) if here != "/" else None
        if target is None:
            evaluated = here
            continue
        links += 1
        if links > MOST_LINKS:
            raise TooManyLinksError
        rest = f"{target}/{rest}"
        if target.startswith("/"):
            evaluated = "/"
    return evaluated


def refusal(path: str, points: Iterable[MountPoint], readonly_rootfs: bool) -> str:
    """Why nothing can be written below `path`, in Docker's words; empty: it can."""
    holding = [point for point in points if _holds(point.destination, path)]
    if holding:
        nearest = max(holding, key=lambda point: len(point.destination))
        return "" if nearest.rw else "mounted volume is marked read-only"
    return "container rootfs is marked read-only" if readonly_rootfs else ""


def _holds(destination: str, path: str) -> bool:
    return path == destination or path.startswith(destination.rstrip("/") + "/")
