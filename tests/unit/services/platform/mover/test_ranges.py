"""What is left of a range."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.platform.mover.ranges import without

BORDERS = st.lists(st.integers(0, 60), unique=True, max_size=12).map(sorted)


@given(BORDERS, st.integers(0, 60), st.integers(0, 60))
def test_every_place_is_in_one_or_the_other(borders: list[int], begin: int, length: int) -> None:
    taken = list(zip(borders[::2], borders[1::2], strict=False))
    left = list(without((begin, begin + length), taken))
    places = {place for start, end in left for place in range(start, end)}
    assert places == {at for at in range(begin, begin + length) if not any(start <= at < end for start, end in taken)}
    assert all(start < end for start, end in left)
