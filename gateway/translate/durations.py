"""Times as people read them, in the words of Docker's clients."""

from __future__ import annotations

SECOND = 1_000_000_000


def human_duration(nanoseconds: int) -> str:
    """`About a minute`, `3 hours`: the steps of go-units' HumanDuration."""
    seconds = max(nanoseconds, 0) // SECOND
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    minutes = seconds // 60
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    return _long(int(nanoseconds / (3600 * SECOND) + 0.5), seconds // 3600)


def _long(hours: int, whole_hours: int) -> str:
    """`hours` rounded; years count whole hours."""
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{whole_hours // 24 // 365} years"
