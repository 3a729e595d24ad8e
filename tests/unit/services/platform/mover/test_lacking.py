"""Against a dictionary of pages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.platform.mover.lacking import Lacking, Part

PLACE, LENGTH = st.integers(0, 40), st.integers(0, 12)
STEPS = st.lists(st.one_of(st.tuples(st.just("drop"), PLACE, LENGTH), st.tuples(PLACE, PLACE, LENGTH)), max_size=12)


@given(STEPS)
def test_it_knows_of_each_page_where_it_was(steps: list[tuple[str | int, int, int]]) -> None:
    lacking = Lacking([Part(20, 30, 20), Part(3, 11, 103)])
    model = {at: at for at in range(20, 30)} | {at: at + 100 for at in range(3, 11)}
    for what, place, length in steps:
        if isinstance(what, str):
            lacking.drop(place, place + length)
            model = {at: origin for at, origin in model.items() if not place <= at < place + length}
        elif abs(what - place) >= length:  # as mremap(2) demands
            lacking.move(what, place, length)
            moved = {at - what + place: model[at] for at in range(what, what + length) if at in model}
            model = {
                at: origin
                for at, origin in model.items()
                if not what <= at < what + length and not place <= at < place + length
            } | moved
        assert {at: origin for at in range(60) if (origin := lacking.origin(at)) is not None} == model
        assert bool(lacking) == bool(model)
        if model:
            assert lacking.first.start == min(model)


def test_a_copy_is_another() -> None:
    lacking = Lacking([Part(0, 4, 0)])
    copy = lacking.copy()
    lacking.drop(0, 4)
    assert not lacking
    assert copy.origin(3) == 3
