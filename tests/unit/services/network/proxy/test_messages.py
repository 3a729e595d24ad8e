from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.network.proxy.messages import HOLD, LONGEST, Message, decode

WORDS = st.text(st.characters(codec="ascii", exclude_characters="\n"), max_size=80)
TARGETS = st.none() | st.tuples(st.sampled_from(["tcp", "udp"]), WORDS, st.integers(1, 65535))


@given(WORDS, WORDS, TARGETS)
def test_what_is_said_is_heard(verb: str, key: str, target: tuple[str, str, int] | None) -> None:
    message = Message(verb, key, target)
    assert decode(message.encode()) == message
    assert len(message.encode()) <= LONGEST


@pytest.mark.parametrize("data", [b"", b"hold", b"hold\nkey\ntcp", b"hold\nkey\ntcp\n1.2.3.4\nport", b"\xff\n"])
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 # whichever
        decode(data)


def test_packets_can_be_read_by_people() -> None:
    assert (
        Message(HOLD, "port tcp :: 80", ("tcp", "10.9.0.2", 80)).encode() == b"hold\nport tcp :: 80\ntcp\n10.9.0.2\n80"
    )
