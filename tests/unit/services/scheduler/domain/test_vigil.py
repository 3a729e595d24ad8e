from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.domain.vigil import Vigil, leader
from shared.tenure import GUARD, LOST, SECOND

delays = st.integers(0, 20 * SECOND)


@given(st.lists(st.tuples(delays, delays, delays), max_size=30), delays)
def test_who_is_silent_and_did_not_renew_again_has_fenced_itself(
    renewals: list[tuple[int, int, int]], later: int
) -> None:
    """Each renewal begins some time after the last, is written, and is heard, later still, or not at all."""
    vigil, now, revision, begun = Vigil(), 0, 0, 0
    for pause, writing, hearing in renewals:
        begun = now + pause
        written = begun + writing
        now = written + hearing
        revision += 1
        vigil.heard("n", revision, now)
        for at in (now, now + later):
            if vigil.silent(at).get("n") == revision:  # what the compare-and-set finds unchanged
                assert begun + GUARD * SECOND < at
    due = vigil.due()
    if due is not None:
        assert vigil.silent(due) == {"n": revision}
        assert vigil.silent(due - 1) == {}


def test_only_a_new_revision_is_a_sign_of_life() -> None:
    vigil = Vigil()
    assert vigil.heard("a", 1, 0)
    assert not vigil.heard("a", 1, int(LOST * SECOND) - 1)
    assert vigil.silent(int(LOST * SECOND)) == {"a": 1}
    assert vigil.due(but="a") is None
    vigil.again("a", 5)
    assert vigil.silent(int(LOST * SECOND)) == {}
    vigil.forget("a")
    assert vigil.due() is None


def test_a_sign_of_life_is_news_where_there_was_none_for_too_long() -> None:
    vigil = Vigil()
    assert vigil.heard("a", 1, 0)
    assert not vigil.heard("a", 2, int(LOST * SECOND) - 1)
    assert vigil.heard("a", 3, 2 * int(LOST * SECOND))


def test_one_leads() -> None:
    assert (leader({"b", "a", "c"}), leader(())) == ("a", "")
