"""What the broker's streams promise; that they can be made is seen wherever a test has a real broker."""

from __future__ import annotations

from shared.contracts.base import BUCKET, LEASES
from shared.contracts.permissions import STREAMS as PERMITTED
from shared.state.streams import EVENTS, SPANS, STREAMS

BY_NAME = {str(stream["name"]): stream for stream in STREAMS}


def test_records_are_kept_for_good_and_only_their_last_value() -> None:
    records = BY_NAME[f"KV_{BUCKET}"]
    assert (records["storage"], records["max_msgs_per_subject"], records["allow_direct"]) == ("file", 1, True)
    assert "max_age" not in records
    assert "persist_mode" not in records  # that would acknowledge before the sync


def test_leases_vanish_by_themselves() -> None:
    assert BY_NAME[f"KV_{LEASES}"]["max_age"] > 0


def test_what_only_tells_of_the_past_is_fast_and_bounded() -> None:
    for name in (EVENTS, SPANS):
        assert BY_NAME[name]["persist_mode"] == "async"
        assert BY_NAME[name]["max_bytes"] > 0
        assert BY_NAME[name]["max_age"] > 0


def test_every_service_may_make_what_there_is() -> None:
    assert set(BY_NAME) == set(PERMITTED)
