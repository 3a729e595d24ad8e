"""The JSON lines of load, save, import and pull (Docker's `jsonmessage`)."""

from __future__ import annotations

import msgspec


class Step(msgspec.Struct, frozen=True):
    """The state of one part of a transfer; `total` 0: there is no more to say than that."""

    id: str
    status: str
    current: int = 0
    total: int = 0

    def line(self) -> bytes:
        return step(self.status, self.id, self.current, self.total) if self.total else update(self.status, self.id)


_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_WIDTH = 50


def human_size(size: float) -> str:
    """Decimal units, four significant digits: `1.984MB`."""
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            return f"{size:.4g}{unit}"
        size /= 1000
    raise AssertionError


def bar(current: int, total: int) -> str:
    """`[=====>     ]  1.98MB/3.96MB`: the text that clients before API 1.48 show as it is."""
    if current <= 0 and total <= 0:
        return ""
    if total <= 0 or current > total:
        return f"{human_size(current):>8}"
    filled = min(_WIDTH, current * 100 // total // 2)
    return f"[{'=' * filled}>{' ' * (_WIDTH - filled)}] {human_size(current):>8}/{human_size(total)}"


def _line(**fields: object) -> bytes:
    return msgspec.json.encode(fields) + b"\r\n"


def stream(text: str) -> bytes:
    """Text that a client prints as it comes."""
    return _line(stream=text)


def status(text: str) -> bytes:
    """A line of its own."""
    return _line(status=text)


def update(text: str, identifier: str) -> bytes:
    """The state of one part."""
    return _line(status=text, progressDetail={}, id=identifier)


def titled(text: str, identifier: str) -> bytes:
    """A line that belongs to one name, and is no part's progress."""
    return _line(status=text, id=identifier)


def aux(**result: object) -> bytes:
    """What a program, not a person, wants to know of the outcome."""
    return _line(progressDetail={}, aux=result)


def step(text: str, identifier: str, current: int, total: int) -> bytes:
    """How far one part has come."""
    return _line(
        status=text,
        progressDetail={"current": current, "total": total},
        progress=bar(current, total),
        id=identifier,
    )


def error(message: str, code: int) -> bytes:
    """What went wrong, as the last line; `code` is the HTTP status it would have been, had the answer not begun."""
    return _line(errorDetail={"code": code, "message": message}, error=message)
