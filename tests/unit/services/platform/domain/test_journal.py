from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from services.platform.domain import journal
from services.platform.domain.logs import STDERR, STDOUT
from services.platform.domain.messages import Logged


def parse(data: bytes) -> dict[str, bytes]:
    """As the journal reads it."""
    found, at = {}, 0
    while at < len(data):
        end = data.index(b"\n", at)
        name, equals, value = data[at:end].partition(b"=")
        at = end + 1
        if not equals:
            (length,) = struct.unpack_from("<Q", data, at)
            value = data[at + 8 : at + 8 + length]
            assert data[at + 8 + length : at + 9 + length] == b"\n"
            at += 9 + length
        found[name.decode()] = value
    return found


@given(st.binary(max_size=50))
def test_any_text_comes_through(text: bytes) -> None:
    message = Logged(STDOUT, "2026-01-02T03:04:05.123456789", text)
    found = parse(journal.record({"CONTAINER_NAME": "web", "X": "a\nb"}, message, 4, "line"))
    assert found == {
        "MESSAGE": text,
        "CONTAINER_NAME": b"web",
        "X": b"a\nb",
        "PRIORITY": b"6",
        "SYSLOG_TIMESTAMP": b"2026-01-02T03:04:05.123456789Z",
        "CONTAINER_LOG_ORDINAL": b"4",
    }


def test_pieces_and_errors() -> None:
    piece = Logged(STDERR, "2026-01-02T03:04:05.123456789", b"x", ordinal=2, last=False)
    found = parse(journal.record({}, piece, 1, "line"))
    assert found["PRIORITY"] == b"3"
    assert (found["CONTAINER_PARTIAL_ID"], found["CONTAINER_PARTIAL_ORDINAL"]) == (b"line", b"2")
    assert (found["CONTAINER_PARTIAL_LAST"], found["CONTAINER_PARTIAL_MESSAGE"]) == (b"false", b"true")
