"""How long a move takes, for how long the container stands still, and what is sent."""

from __future__ import annotations

from dataclasses import dataclass

FILE_RATE, LINE, COMPARED = 150_000_000, 400_000_000, 1_500_000_000
"""Bytes a second that are counted on: files, memory on a line that nothing was sent on yet, memory that is only looked
at while the container stands still (copy compares it with what was sent, where the kernel does not tell)."""
FREEZE_MS, COLD_MS, BASE_MS = 100, 400, 500
ROUNDS, SMALL = 4, 1 << 20
"""Passes over memory, at most, while the container runs; one that leaves less than this is the last."""


@dataclass(frozen=True)
class Estimate:
    """Bytes and milliseconds."""

    bytes: int
    freeze_ms: int
    total_ms: int


def cold(files: int, running: bool) -> Estimate:
    """It is stopped and started: its own time for that comes on top."""
    freeze = COLD_MS if running else 0
    return Estimate(files, freeze, BASE_MS + freeze + _ms(files, FILE_RATE))


def post_copy(memory: int, files: int, line: int) -> Estimate:
    """Memory follows."""
    total = BASE_MS + FREEZE_MS + _ms(files, FILE_RATE) + _ms(memory, line)
    return Estimate(files + memory, FREEZE_MS, total)


def copy(memory: int, files: int, written: int, line: int, follows: bool = False) -> Estimate:
    """Pass after pass, each of what was written during the one before, as long as they shrink; the rest frozen."""
    sent, left = 0, memory
    for _ in range(ROUNDS):
        sent, before = sent + left, left
        left = min(memory, written * left // line)
        if left < SMALL or left > before // 2:
            break
    freeze = FREEZE_MS + (0 if follows else _ms(memory, COMPARED)) + _ms(left, line)
    return Estimate(files + sent + left, freeze, BASE_MS + freeze + _ms(files, FILE_RATE) + _ms(sent, line))


def _ms(count: int, rate: int) -> int:
    return count * 1000 // rate
