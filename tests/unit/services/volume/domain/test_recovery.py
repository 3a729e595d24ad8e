"""Records and folders after a crash."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.volume.domain.recovery import REMOVING, mend

NAMES = st.sampled_from(["v1", "v2", "v3"])


def test_each_kind_of_remains() -> None:
    folders = {
        "whole": True,
        "lost": True,
        "half": False,
        f"{REMOVING}going": True,
        f"{REMOVING}gone": False,
        ".other": True,
    }
    mending = mend({"whole", "going", "missing"}, folders)
    assert mending.finish == (f"{REMOVING}going", f"{REMOVING}gone")
    assert mending.forget == ("going",)
    assert mending.restore == ("missing",)
    assert mending.adopt == ("lost",)
    assert mending.discard == ("half",)


@given(st.sets(NAMES), st.dictionaries(NAMES, st.booleans()), st.sets(NAMES))
def test_afterwards_each_record_has_its_folder_and_no_data_is_lost(
    records: set[str], plain: dict[str, bool], going: set[str]
) -> None:
    folders = {**plain, **{f"{REMOVING}{name}": True for name in going}}
    mending = mend(records, folders)
    kept = records - set(mending.forget) | set(mending.adopt)
    there = set(plain) - set(mending.discard) | set(mending.restore)
    assert kept == there
    assert {name for name, filled in plain.items() if filled} <= there
    assert set(mending.finish) == {f"{REMOVING}{name}" for name in going}
    assert set(mending.forget) <= going
