from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import signals
from shared.errors import InvalidArgument


def test_numbers_are_those_of_the_kernel() -> None:
    for one in signal.Signals:
        name = one.name.removeprefix("SIG")
        assert signals.SIGNALS[name] == one.value


@pytest.mark.parametrize(
    ("text", "number"), [("TERM", 15), ("sigterm", 15), ("SIGKILL", 9), ("9", 9), ("RTMIN+3", 37), ("SIGRTMAX-1", 63)]
)
def test_parse(text: str, number: int) -> None:
    assert signals.parse(text) == number


@pytest.mark.parametrize("text", ["0", "", "NOPE", "SIGSIGTERM", "1.5", " 9"])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(InvalidArgument, match=f"invalid signal: {text}"):
        signals.parse(text)


def test_deliverable() -> None:
    assert signals.deliverable("HUP") == 1
    with pytest.raises(InvalidArgument, match="the linux daemon does not support signal 100"):
        signals.deliverable("100")


def test_stop_signal_falls_back_to_term() -> None:
    assert signals.stop_signal("SIGINT") == 2
    assert signals.stop_signal("") == 15
    assert signals.stop_signal("-3") == 15
    assert signals.stop_signal("2147483648") == 15


@given(st.text())
def test_any_text_is_a_signal_or_refused(text: str) -> None:
    try:
        assert signals.parse(text) != 0
    except InvalidArgument:
        pass
