from __future__ import annotations

from services.migrator.domain import estimate
from services.migrator.domain.estimate import Estimate

MB = 1_000_000


def test_a_cold_move_sends_files_only() -> None:
    assert estimate.cold(150 * MB, running=True) == Estimate(150 * MB, 400, 1900)
    assert estimate.cold(0, running=False) == Estimate(0, 0, 500)


def test_what_is_hardly_written_is_sent_once() -> None:
    found = estimate.copy(300 * MB, 0, written=0, line=100 * MB)
    assert (found.bytes, found.freeze_ms, found.total_ms) == (300 * MB, 300, 3800)


def test_passes_shrink_until_they_do_not() -> None:
    slow = estimate.copy(400 * MB, 0, written=25 * MB, line=100 * MB)
    assert slow.bytes == (400 + 100 + 25 + 6.25 + 1.5625) * MB
    assert slow.freeze_ms == 100 + 266 + 15
    fast = estimate.copy(400 * MB, 0, written=300 * MB, line=100 * MB)
    assert fast.bytes == 800 * MB
    assert fast.freeze_ms == 100 + 266 + 4000


def test_what_the_kernel_tells_is_not_looked_for() -> None:
    assert estimate.copy(400 * MB, 0, written=25 * MB, line=100 * MB, follows=True).freeze_ms == 100 + 15


def test_after_post_copy_memory_follows() -> None:
    assert estimate.post_copy(400 * MB, 15 * MB, 100 * MB) == Estimate(415 * MB, 100, 500 + 100 + 100 + 4000)
