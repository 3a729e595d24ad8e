"""Reading logs: whatever the cuts, every byte of every line comes out once, in frames of one line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.domain.logs import LONGEST, STDERR, STDOUT, Decoder, Selection, count, details, stamp, tail_start
from shared.streams.frames import Deframer

NAMES = {STDOUT: b"stdout", STDERR: b"stderr"}
SECOND = 1_000_000_000
Piece = tuple[int, bytes, bool]
"""Stream, text, whether a newline ended it."""


def line(stream: int, text: bytes, whole: bool = True, at: int = 0) -> bytes:
    return stamp(at) + b"+00:00 " + NAMES[stream] + (b" F " if whole else b" P ") + text + b"\n"


def frames(data: bytes) -> list[tuple[int, bytes]]:
    deframer = Deframer()
    found = list(deframer.feed(data))
    assert deframer.rest == 0
    return found


def decode(data: bytes, cut: int = 0, **fields: object) -> bytes:
    decoder = Decoder(Selection(**fields))  # type: ignore[arg-type]
    step = cut or len(data) or 1
    parts = [decoder.feed(data[start : start + step]) for start in range(0, len(data), step)]
    return b"".join(parts) + decoder.flush()


pieces = st.lists(
    st.tuples(
        st.sampled_from((STDOUT, STDERR)), st.binary(max_size=50).map(lambda b: b.replace(b"\n", b" ")), st.booleans()
    ),
    max_size=20,
)


@given(pieces, st.integers(1, 70), st.booleans())
def test_all_bytes_come_out_however_the_file_is_cut(written: list[Piece], cut: int, careful: bool) -> None:
    data = b"".join(line(*piece) for piece in written)
    fields = {"since": 0, "until": (1 << 61) if careful else 0}  # a bound that nothing reaches: the slower way
    found = frames(decode(data, cut, **fields))
    for stream in NAMES:
        sent = b"".join(text + (b"\n" if whole else b"") for kind, text, whole in written if kind == stream)
        assert b"".join(text for kind, text in found if kind == stream) == sent


@given(pieces)
def test_a_frame_is_a_line(written: list[Piece]) -> None:
    found = frames(decode(b"".join(line(*piece) for piece in written)))
    assert all(text.count(b"\n") <= 1 and (text.endswith(b"\n") or b"\n" not in text) for _, text in found)
    unfinished = {kind for kind, text in found if not text.endswith(b"\n")}
    assert len(unfinished) == sum(1 for _, text in found if not text.endswith(b"\n"))


@given(pieces, st.integers(0, 6))
def test_the_tail_is_the_end_of_the_whole(written: list[Piece], wanted: int) -> None:
    whole_lines = [(STDOUT, text, True) for _, text, _ in written]
    data = b"".join(line(*piece) for piece in whole_lines)
    start = tail_start(data, wanted)
    expected = frames(decode(data))[-wanted:] if wanted else []
    assert frames(decode(data[start:] if start is not None else data)) == expected


def test_pieces_count_as_one_line_in_the_tail() -> None:
    data = line(STDOUT, b"a") + line(STDOUT, b"b", False) + line(STDOUT, b"c") + line(STDOUT, b"d", False)
    assert frames(decode(data[tail_start(data, 2) :])) == [(STDOUT, b"bc\n"), (STDOUT, b"d")]
    assert tail_start(data, 5) is None


def test_streams_are_chosen() -> None:
    data = line(STDOUT, b"out") + line(STDERR, b"err")
    assert frames(decode(data, stderr=False)) == [(STDOUT, b"out\n")]
    assert frames(decode(data, stdout=False)) == [(STDERR, b"err\n")]


def test_timestamps_are_dockers() -> None:
    data = line(STDOUT, b"x", at=1_795_468_199_310_045_290)
    assert frames(decode(data, timestamps=True)) == [(STDOUT, b"2026-11-23T21:09:59.310045290Z x\n")]


def test_a_terminals_log_is_raw() -> None:
    assert decode(line(STDOUT, b"a\r") + line(STDOUT, b"b", False), framed=False) == b"a\r\nb"


def test_since_and_until_are_inclusive() -> None:
    data = b"".join(line(STDOUT, b"%d" % at, at=at * SECOND) for at in range(1, 6))
    assert [text for _, text in frames(decode(data, since=2 * SECOND, until=4 * SECOND))] == [b"2\n", b"3\n", b"4\n"]


def test_a_reader_learns_that_nothing_more_will_come() -> None:
    decoder = Decoder(Selection(until=SECOND))
    decoder.feed(line(STDOUT, b"a", at=SECOND))
    assert not decoder.finished
    decoder.feed(line(STDOUT, b"b", at=SECOND + 1))
    assert decoder.finished


def test_a_line_without_end_is_given_out_in_pieces() -> None:
    half = b"x" * (LONGEST // 2)
    decoder = Decoder(Selection())
    assert decoder.feed(line(STDOUT, half, False)) == b""
    assert frames(decoder.feed(line(STDOUT, half, False))) == [(STDOUT, half * 2)]


def test_long_lines_pass_whole() -> None:
    text = b"y" * 5000
    assert frames(decode(line(STDERR, text))) == [(STDERR, text + b"\n")]


@given(st.binary(max_size=300))
def test_a_damaged_file_harms_nobody(data: bytes) -> None:
    frames(decode(data.replace(b"\xff", b"\n")))
    assert tail_start(data, 1) is None or data


@pytest.mark.parametrize("at", [0, 1, SECOND - 1, 1_795_468_199_310_045_290])
def test_stamps_are_times_of_fixed_width(at: int) -> None:
    text = stamp(at).decode()
    assert len(text) == 29
    assert int(datetime.fromisoformat(text[:19]).replace(tzinfo=UTC).timestamp()) == at // SECOND


@given(st.integers(0, 4 * 10**18), st.integers(0, 4 * 10**18))
def test_stamps_compare_as_the_times_do(one: int, other: int) -> None:
    assert (stamp(one) < stamp(other)) is (one < other)


def test_details_stand_between_time_and_text() -> None:
    found = details({"b": "x y", "a": "1=2"})
    assert found == b"a=1%3D2,b=x+y"
    decoder = Decoder(Selection(framed=False, timestamps=True, details=found))
    assert decoder.feed(line(STDOUT, b"text", at=SECOND)) == b"1970-01-01T00:00:01.000000000Z a=1%3D2,b=x+y text\n"
    assert Decoder(Selection(framed=False, details=b"")).feed(line(STDOUT, b"text")) == b" text\n"


@given(st.lists(st.booleans(), max_size=6))
def test_counting(whole: list[bool]) -> None:
    data = b"".join(line(STDOUT, b"x", ended) for ended in whole)
    assert count(data) == sum(whole) + (bool(whole) and not whole[-1])
    assert tail_start(data, count(data) + 1) is None
