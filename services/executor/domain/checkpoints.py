"""Checkpoints of a container: their names and where they lie."""

from __future__ import annotations

import re

from shared.errors import InvalidArgument, NotFound, ShoalError

from .text import quote

_CHARACTERS = "[a-zA-Z0-9][a-zA-Z0-9_.-]"
_NAME = re.compile(f"{_CHARACTERS}+")


def check(name: str) -> None:
    """Raises `InvalidArgument` in Docker's words."""
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise InvalidArgument(f"invalid checkpoint ID {quote(name)}, only {_CHARACTERS} are allowed")


def folder(own: str, container_id: str, asked: str) -> str:
    """The folder of a container's checkpoints: the one asked for, or its own below `own`."""
    if asked and (not asked.startswith("/") or "\0" in asked):
        raise InvalidArgument(f"checkpoint directory {quote(asked)} is not an absolute path")
    return asked.rstrip("/") or "/" if asked else f"{own}/{container_id}"


def missing(name: str, reference: str) -> ShoalError:
    """`reference` is what the container is called."""
    return NotFound(f"checkpoint {name} does not exist for container {reference}")
