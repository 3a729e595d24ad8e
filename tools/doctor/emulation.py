"""Which platforms' images can run here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from services.platform.adapters import facts
from services.platform.adapters.emulated import Emulated
from services.platform.domain.emulation import INSTALL, describe, native
from shared.config import Settings
from shared.contracts.common import Platform

from .findings import Finding, ok


def check(settings: Settings) -> Iterator[Finding]:
    """By itself, and by emulation: nobody needs to have the second."""
    host = facts.architecture()
    yield judge_platforms(native(host), Emulated(host, Path("/nonexistent")).platforms())


def judge_platforms(own: Sequence[Platform], emulated: Sequence[Platform]) -> Finding:
    """Both lists, or how to get the second."""
    more = f"by emulation {_listed(emulated)}" if emulated else f"for others {INSTALL}"
    return ok("platforms", f"{_listed(own)}; {more}")


def _listed(platforms: Sequence[Platform]) -> str:
    return ", ".join(describe(each) for each in platforms)
