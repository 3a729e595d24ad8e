"""The only place that reads the wall clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_ns() -> int:
    """Nanoseconds since the Unix epoch."""
    return time.time_ns()


def rfc3339(nanoseconds: int) -> str:
    """RFC 3339 in UTC with the fraction as Go's RFC3339Nano prints it; 0 is Go's zero time."""
    if nanoseconds == 0:
        return "0001-01-01T00:00:00Z"
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"
