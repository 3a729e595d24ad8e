from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgument
from shared.treesync.records import MOST_BYTES, Data, Decoder, End, Gone, Node, Record, encode

RECORDS: list[Record] = [Node(b"a", 0o100644, xattrs={"user.x": b"\0"}), Data(3, b"abc"), Gone(b"\xff"), End(3)]


@given(st.lists(st.integers(1, 50), min_size=1))
def test_records_come_out_however_the_stream_is_cut(sizes: list[int]) -> None:
    stream = b"".join(map(encode, RECORDS))
    decoder, found, at = Decoder(), [], 0
    for size in [*sizes, len(stream)]:
        found += list(decoder.feed(stream[at : at + size]))
        at += size
    assert found == RECORDS


@pytest.mark.parametrize("stream", [(MOST_BYTES + 1).to_bytes(4, "big"), b"\0\0\0\1\xc1", b"\0\0\0\2\x91\x01"])
def test_what_is_no_record_is_refused(stream: bytes) -> None:
    with pytest.raises(InvalidArgument):
        list(Decoder().feed(stream))
