"""Regular expressions that clients send: none may keep a service busy."""

from __future__ import annotations

import re

MAX_PATTERN = 256
"""Longer patterns only match literally."""
_RISKY = re.compile(r"[*+?}]\)?[*+?{]|\)[*+{]")


def found(pattern: str, value: str) -> bool:
    """Whether the pattern is found in the value; what could run away is taken literally."""
    if len(pattern) > MAX_PATTERN or _RISKY.search(pattern):
        return pattern in value
    try:
        return re.search(pattern, value) is not None
    except (re.error, OverflowError):
        return False
