"""What is said to criu, and what it says, byte by byte."""

from __future__ import annotations

import pytest

from services.platform.mover import rpc


def test_a_request_has_its_kind_and_options() -> None:
    told = rpc.request(rpc.RESTORE, [(1, -1), (13, "/r"), (5, True), (27, rpc.message(((1, "p"), (2, 300))))])
    options = b"\x08" + b"\xff" * 9 + b"\x01" + b"\x6a\x02/r" + b"\x28\x01" + b"\xda\x01\x06\x0a\x01p\x10\xac\x02"
    assert told == b"\x08\x02\x12" + bytes((len(options),)) + options


def test_a_notification_has_an_action_and_waits_for_a_word() -> None:
    about = b"\x0a\x0cpost-restore\x10\xac\x02"
    assert rpc.said(b"\x08\x06\x10\x01\x2a\x11" + about) == rpc.Said(rpc.NOTIFY, True, "post-restore", 300)
    assert rpc.go_on(True) == b"\x08\x06\x18\x01"
    assert rpc.go_on(False) == b"\x08\x06\x18\x00"


def test_an_end_has_the_process_or_a_reason() -> None:
    assert rpc.said(b"\x08\x02\x10\x01\x22\x02\x08\x4d") == rpc.Said(rpc.RESTORE, True, pid=77)
    assert rpc.said(b"\x08\x02\x10\x00\x38\x16\x4a\x03why") == rpc.Said(rpc.RESTORE, False, error="why")
    assert rpc.said(b"\x08\x02\x10\x01\x29" + bytes(8) + b"\x2d" + bytes(4)).success  # fields nobody knows
    assert rpc.said(b"") == rpc.Said(0, False)


@pytest.mark.parametrize("answer", [b"\x08", b"\x0a\x05a", b"\x0b", b"\x28\x01", b"\xff\xff"])
def test_what_is_no_answer_is_refused(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"without an end|field of kind|for bytes"):
        rpc.said(answer)
