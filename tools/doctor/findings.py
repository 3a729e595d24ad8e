"""What a check says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from shared.config import Settings


class Level(Enum):
    """How bad it is: `WRONG` means that containers cannot run until it is mended."""

    OK = "ok"
    WARNING = "warn"
    WRONG = "WRONG"


@dataclass(frozen=True)
class Finding:
    """One result of a check: what was found, and what to do about it when it is not well."""

    level: Level
    subject: str
    text: str
    remedy: str = ""


Check = Callable[[Settings], Iterator[Finding]]


def ok(subject: str, text: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, subject, text)


def warning(subject: str, text: str, remedy: str) -> Finding:
    """Something works less well than it could, or soon will."""
    return Finding(Level.WARNING, subject, text, remedy)


def wrong(subject: str, text: str, remedy: str) -> Finding:
    """Something essential is missing."""
    return Finding(Level.WRONG, subject, text, remedy)
