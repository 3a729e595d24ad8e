"""Durations as Dockerfiles have them (Go's `time.ParseDuration`)."""

from __future__ import annotations

import re

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"(\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})(ns|us|µs|ms|s|m|h)")


def duration(text: str) -> int | None:
    """Nanoseconds of `1h30m`, `10s`, `1.5h`; None when it is no duration."""
    total, at = 0.0, 0
    while at < len(text):
        match = _PART.match(text, at)
        if match is None:
            return None
        total, at = total + float(match[1]) * _UNITS[match[2]], match.end()
    return round(total) if text else None
