"""Pieces of text as the Go programs print them that Docker's users know."""

from __future__ import annotations

from shared.errors import InvalidArgument

_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    **dict(zip("\a\b\f\n\r\t\v", ("\\a", "\\b", "\\f", "\\n", "\\r", "\\t", "\\v"), strict=True)),
}
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
SECOND = 1_000_000_000
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def quote(text: str) -> str:
    """A string as Go's `%q` prints it (strconv.Quote)."""
    return '"' + "".join(_ESCAPES.get(c) or (c if c.isprintable() else f"\\x{ord(c):02x}") for c in text) + '"'


def parse_bool(text: str) -> bool | None:
    """A truth value as Go's strconv.ParseBool reads it, None for anything else."""
    return True if text in _TRUE else False if text in _FALSE else None


def parse_size(text: str, base: int) -> int:
    """Bytes from `10m`, `1.5GiB`, `512kb`; `base` is 1000 or 1024 (docker/go-units). Raises `InvalidArgument`."""
    number = text.rstrip("bBiIkKmMgGtTpP ")
    suffix = text[len(number) :].strip().lower().removesuffix("b").removesuffix("i")
    try:
        value = float(number)
    except ValueError:
        raise InvalidArgument(f"invalid size: '{text}'") from None
    if suffix not in _UNITS or value < 0 or value != value or value > 1e18:
        raise InvalidArgument(f"invalid size: '{text}'")
    return int(value * base ** _UNITS[suffix])


def go_duration(nanoseconds: int) -> str:
    """A time as Go prints it: `1m30s`, `1.5s`, `250ms`."""
    if nanoseconds < SECOND:
        for unit, size in (("ms", 1_000_000), ("µs", 1_000)):
            if nanoseconds >= size:
                return f"{_decimal(nanoseconds, size)}{unit}"
        return f"{nanoseconds}ns" if nanoseconds else "0s"
    minutes, rest = divmod(nanoseconds, 60 * SECOND)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}h" if hours else ""
    return text + (f"{minutes}m" if hours or minutes else "") + f"{_decimal(rest, SECOND)}s"


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    digits = f"{part:0{len(str(unit)) - 1}d}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
