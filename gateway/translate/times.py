"""Points in time as clients send them."""

from __future__ import annotations

import re
from datetime import datetime

from shared.errors import InvalidArgument

SECOND = 1_000_000_000
FARTHEST = (1 << 63) - 1
_UNIX = re.compile(r"(-?[0-9]{1,19})(?:\.([0-9]{1,9})[0-9]*)?\Z")
_DURATION = re.compile(r"(?:([0-9]+(?:\.[0-9]+)?)(h|ms|m|s))")
_UNITS = {"h": 3600 * SECOND, "m": 60 * SECOND, "s": SECOND, "ms": 1_000_000}


def unix(text: str, field: str) -> int:
    """Nanoseconds of `seconds[.fraction]` since the epoch; 0 for an empty text. Raises naming the field.

    One farther off than nanoseconds can tell (that is 292 years) is the farthest that they can.
    """
    if not text:
        return 0
    match = _UNIX.match(text)
    if match is None:
        raise InvalidArgument(
            f'invalid value for "{field}": failed to parse value as time: strconv.ParseInt: parsing "{text[:80]}": '
            "invalid syntax"
        )
    seconds, fraction = int(match[1]), int((match[2] or "").ljust(9, "0"))
    if abs(seconds) > FARTHEST:
        raise InvalidArgument(f'invalid value for "{field}": "{text[:80]}": value out of range')
    nanoseconds = seconds * SECOND + (-fraction if seconds < 0 else fraction)
    return max(-FARTHEST, min(nanoseconds, FARTHEST))


def moment(text: str, field: str, now: int) -> int:
    """A Unix time, an RFC 3339 time, or a duration before now (`10m`, `1h30m`): what `until` filters take."""
    if _UNIX.match(text):
        return unix(text, field)
    duration = _duration(text)
    if duration is not None:
        return now - duration
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(f'invalid value for "{field}": failed to parse "{text[:80]}" as time') from None
    aware = parsed if parsed.tzinfo is not None else parsed.astimezone()
    return int(aware.timestamp() * 1_000_000) * 1000


def _duration(text: str) -> int | None:
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return int(sum(float(number) * _UNITS[unit] for number, unit in parts))
