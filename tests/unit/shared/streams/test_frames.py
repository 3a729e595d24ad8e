from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.streams.frames import LONGEST, Deframer, frame

frames = st.lists(st.tuples(st.integers(min_value=0, max_value=3), st.binary(max_size=300)), max_size=20)


@given(frames, st.data())
def test_frames_come_out_as_they_went_in_however_the_bytes_are_cut(sent, data):
    stream = b"".join(frame(kind, payload) for kind, payload in sent)
    cuts = sorted(data.draw(st.lists(st.integers(min_value=0, max_value=len(stream)), max_size=30)))
    deframer = Deframer()
    got: list[tuple[int, bytes]] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += deframer.feed(stream[start:end])
    assert got == sent
    assert deframer.rest == 0


def test_the_header_is_dockers():
    assert frame(1, b"ab") == b"\x01\x00\x00\x00\x00\x00\x00\x02ab"


def test_an_unfinished_frame_is_known_by_its_bytes():
    deframer = Deframer()
    assert list(deframer.feed(frame(1, b"abc")[:-1])) == []
    assert deframer.rest == 10


@pytest.mark.parametrize(
    "header", [b"\x04\x00\x00\x00\x00\x00\x00\x01", b"\x01\x00\x00\x00" + (LONGEST + 1).to_bytes(4)]
)
def test_what_cannot_be_a_frame_is_refused(header):
    with pytest.raises(ValueError, match="not a frame"):
        list(Deframer().feed(header))
