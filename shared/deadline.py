"""The deadline of what runs now: set once at the edge, inherited by every call made on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Nothing inside may take longer; None sets no limit of its own. The nearer of two deadlines counts."""
    outer = _deadline.get()
    own = None if seconds is None else time.monotonic() + seconds
    token = _deadline.set(own if outer is None else outer if own is None else min(outer, own))
    try:
        yield
    finally:
        _deadline.reset(token)


def left() -> float | None:
    """Seconds left, at least 0; None without a deadline."""
    at = _deadline.get()
    return None if at is None else max(0.0, at - time.monotonic())


def clear() -> None:
    """Forgets the deadline of the present context (for work that outlives its caller)."""
    _deadline.set(None)
