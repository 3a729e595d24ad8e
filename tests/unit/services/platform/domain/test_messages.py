from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.platform.domain.logs import LONGEST, STDERR, STDOUT
from services.platform.domain.messages import Messages
from tests.unit.services.platform.domain.test_logs import line

TEXTS = st.lists(st.tuples(st.sampled_from((STDOUT, STDERR)), st.binary(max_size=30).filter(lambda t: b"\n" not in t)))


@given(TEXTS, st.integers(1, 60))
def test_whatever_the_cuts(texts: list[tuple[int, bytes]], cut: int) -> None:
    data = b"".join(line(stream, text) for stream, text in texts)
    messages, found = Messages(), []
    for at in range(0, len(data), cut):
        found += messages.feed(data[at : at + cut])
    assert [(message.stream, message.text) for message in found] == texts
    assert all((message.ordinal, message.last) == (0, True) for message in found)
    assert (messages.pending, messages.between, messages.flush()) == (0, True, [])


def test_pieces_of_a_line_are_joined() -> None:
    messages = Messages()
    assert messages.feed(line(STDOUT, b"ab", whole=False) + line(STDERR, b"x")) != []
    (whole,) = messages.feed(line(STDOUT, b"c"))
    assert (whole.text, whole.ordinal) == (b"abc", 0)
    assert messages.between
    messages.feed(line(STDOUT, b"never ended", whole=False))
    assert [(each.text, each.ordinal, each.last) for each in messages.flush()] == [(b"never ended", 1, False)]


def test_a_line_that_is_too_long_comes_in_numbered_pieces() -> None:
    messages, piece = Messages(), b"x" * (LONGEST // 2)
    found = [message for _ in range(4) for message in messages.feed(line(STDOUT, piece, whole=False))]
    assert not messages.between
    found += messages.feed(line(STDOUT, b"end"))
    assert [(message.ordinal, message.last, len(message.text)) for message in found] == [
        (1, False, LONGEST),
        (2, False, LONGEST),
        (3, True, 3),
    ]
    assert messages.between


def test_an_unfinished_line_is_pending() -> None:
    messages = Messages()
    assert messages.feed(line(STDOUT, b"text")[:-1]) == []
    assert messages.pending == len(line(STDOUT, b"text")) - 1
