from pathlib import Path

from shared import tenure
from shared.config import Settings
from shared.tenure import GUARD, LOST, SECOND, Desk, Tenure


def test_a_lease_holds_until_its_deadline(directory: Path) -> None:
    desk = Desk(Settings(run_dir=str(directory)))
    assert (desk.tenure(), desk.held(0)) == (None, 0)
    desk.write(Tenure(number=7, deadline=100))
    assert (desk.held(99), desk.held(100)) == (7, 0)
    desk.write(Tenure(number=7, deadline=200))
    assert desk.held(150) == 7
    (desk.path / "tenure").write_text("{")
    assert desk.held(0) == 0


def test_what_depends_on_it_is_marked(directory: Path) -> None:
    desk = Desk(Settings(run_dir=str(directory)))
    assert list(desk.marked()) == []
    for name in ("a", "b", "c"):
        desk.mark(name, f"/shoal/{name}")
    desk.unmark("a")
    desk.unmark("a")
    assert sorted(desk.marked()) == [("b", "/shoal/b"), ("c", "/shoal/c")]
    desk.clear()
    assert list(desk.marked()) == []


def test_the_fence_comes_before_others_may_start() -> None:
    assert LOST - GUARD >= 1
    assert tenure.now() < tenure.now() + SECOND
