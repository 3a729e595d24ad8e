"""Container names: which are allowed, and made-up ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from shared.errors import AlreadyExists, InvalidArgument, ShoalError

from .text import quote
from .words import ADJECTIVES, SURNAMES

ALLOWED = "[a-zA-Z0-9][a-zA-Z0-9_.-]"
_PATTERN = re.compile(ALLOWED + r"+\Z")
ATTEMPTS = 6
"""Made-up names to try before the container is named by its short id."""


def checked(name: str) -> str:
    """The name without its leading slash; raises `InvalidArgument` in Docker's words."""
    if not _PATTERN.match(name.removeprefix("/")):
        raise InvalidArgument(f"Invalid container name ({name}), only {ALLOWED} are allowed")
    return name.removeprefix("/")


def taken(name: str, holder: str) -> ShoalError:
    """The refusal of a name that container `holder` has."""
    return AlreadyExists(
        f"Conflict. The container name {quote('/' + name)} is already in use by container {quote(holder)}. "
        "You have to remove (or rename) that container to be able to reuse that name."
    )


def candidates(container_id: str, choose: Callable[[Sequence[str]], str]) -> Iterator[str]:
    """Names to try in turn for a container without one; the last is its short id."""
    for attempt in range(ATTEMPTS):
        yield f"{choose(ADJECTIVES)}_{choose(SURNAMES)}{attempt or ''}"
    yield container_id[:12]
