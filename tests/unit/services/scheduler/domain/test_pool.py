from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.domain.pool import NEVER, Pool

small = st.integers(0, 5)
changes = st.lists(st.tuples(st.integers(0, 15), st.one_of(st.none(), st.tuples(small, small, small))))


@given(changes, small, small)
def test_the_best_come_first_whatever_changed_before(
    made: list[tuple[int, tuple[int, int, int] | None]], memory: int, cpus: int
) -> None:
    pool, model = Pool(16), {}
    for slot, values in made:
        pool.set(slot, *(values or (NEVER, -1, -1)))
        model[slot] = values
    fitting = {slot: one[0] for slot, one in model.items() if one and one[1] >= memory and one[2] >= cpus}
    found = list(pool.best(memory, cpus))
    assert sorted(found) == sorted(fitting)
    assert [fitting[slot] for slot in found] == sorted(fitting.values())
    anew = Pool(16)
    anew.fill({slot: values for slot, values in model.items() if values})
    assert sorted(anew.best(memory, cpus)) == sorted(fitting)
