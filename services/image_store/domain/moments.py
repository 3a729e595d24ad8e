"""Times and durations as Docker's filters and Dockerfiles have them (Go's `time.ParseDuration`)."""

from __future__ import annotations

import re

from shared.errors import InvalidArgument

from .config import nanoseconds

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"(\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})(ns|us|µs|ms|s|m|h)")
_SECONDS = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?\Z")
_LOCAL = (("T00:00:00Z", 10), (":00:00Z", 13), (":00Z", 16), ("Z", 19))


def duration(text: str) -> int | None:
    """Nanoseconds of `1h30m`, `10s`, `1.5h`; None when it is no duration."""
    total, at = 0.0, 0
    while at < len(text):
        match = _PART.match(text, at)
        if match is None:
            return None
        total, at = total + float(match[1]) * _UNITS[match[2]], match.end()
    return round(total) if text else None


def moment(text: str, now: int) -> int:
    """Nanoseconds since the epoch of a Unix time, an RFC 3339 time or its beginning (UTC), or a duration before now.

    Raises `InvalidArgument`.
    """
    ago = duration(text)
    if ago is not None:
        return now - ago
    match = _SECONDS.match(text)
    if match:
        return int(match[1]) * 10**9 + int((match[2] or "0").ljust(9, "0"))
    found = nanoseconds(text) or next(
        (nanoseconds(text + rest) for rest, length in _LOCAL if len(text) >= length and nanoseconds(text + rest)), 0
    )
    if not found:
        raise InvalidArgument(f"invalid value for 'until' filter: {text[:100]!r} is neither a time nor a duration")
    return found
