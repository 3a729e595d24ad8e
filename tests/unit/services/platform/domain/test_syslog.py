from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from services.platform.domain import syslog
from services.platform.domain.logs import STDERR, STDOUT
from services.platform.domain.messages import Logged
from shared.contracts.platform import LogSink

MESSAGE = Logged(STDOUT, "2026-01-02T03:04:05.123456789", b"text")


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("", r"<30>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d tag\[7\]: text\n"),
        ("rfc3164", r"<30>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d host tag\[7\]: text\n"),
        ("rfc5424", r"<30>1 2026-01-02T03:04:05Z host tag 7 tag - text\n"),
        ("rfc5424micro", r"<30>1 2026-01-02T03:04:05\.123456Z host tag 7 tag - text\n"),
    ],
)
def test_forms(form: str, pattern: str) -> None:
    made = syslog.record(LogSink(driver="syslog", tag="tag", form=form), MESSAGE, "host", 7)
    assert re.fullmatch(pattern, made.decode())


def test_errors_and_facilities() -> None:
    error = Logged(STDERR, MESSAGE.stamp, b"bad")
    assert syslog.record(LogSink(driver="syslog", facility=23), error, "host", 7).startswith(b"<187>")


def test_over_tls_the_length_comes_first() -> None:
    sink = LogSink(driver="syslog", tag="t", form="rfc5424", transport="tcp+tls")
    length, _, rest = syslog.record(sink, MESSAGE, "h", 7).partition(b" ")
    assert int(length) == len(rest)
    assert rest.startswith(b"<30>1 ")


def test_a_day_has_two_places() -> None:
    assert syslog.old_stamp(datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)) == "Feb  3 04:05:06"
