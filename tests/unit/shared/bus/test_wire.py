from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bus import wire
from shared.errors import KINDS, Conflict, Internal, InvalidArgument, NotFound, ShoalError, Unavailable
from tests.support.echo import Text


@given(st.text(), st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_messages_come_out_as_they_went_in(text, count):
    message = Text(text=text, count=count)
    assert wire.decode(wire.encode(message), Text) == message


@given(st.binary())
def test_bytes_that_are_no_message_are_an_invalid_argument(payload):
    decoded: object = None
    with contextlib.suppress(InvalidArgument):
        decoded = wire.decode(payload, Text)
    assert decoded is None or isinstance(decoded, Text)


def test_an_empty_body_is_a_message_of_defaults_and_unknown_fields_are_ignored():
    assert wire.decode(b"", Text) == Text()
    assert wire.decode(b'{"later":[{}]}', Text) == Text()


def test_the_field_that_does_not_fit_is_named():
    with pytest.raises(InvalidArgument, match=r"Text: .*\$\.count"):
        wire.decode(b'{"count":"many"}', Text)


def test_nesting_without_end_is_an_invalid_argument():
    with pytest.raises(InvalidArgument):
        wire.decode(b'{"later":' + b"[" * 1_000_000, Text)


@given(st.sampled_from(sorted(KINDS)), st.text(), st.dictionaries(st.text(), st.text()))
def test_every_error_crosses_the_wire(kind, message, details):
    error = KINDS[kind](message)
    error.details = details
    payload, headers = wire.encode_error(error)
    with pytest.raises(ShoalError) as caught:
        wire.raise_error(payload, headers)
    assert type(caught.value) is KINDS[kind]
    assert (caught.value.message, caught.value.details) == (message, details)


@given(st.text())
def test_the_header_of_an_error_is_one_short_line_of_ascii(message):
    _, headers = wire.encode_error(NotFound(message))
    assert headers[wire.ERROR_CODE] == "404"
    assert len(headers[wire.ERROR]) <= 200
    assert headers[wire.ERROR].isascii()
    assert not set("\r\n") & set(headers[wire.ERROR])


def test_a_foreign_service_may_send_the_header_alone():
    for code, kind in (("404", NotFound), ("503", Unavailable), ("409", Conflict), ("999", Internal)):
        with pytest.raises(ShoalError, match="no such thing") as caught:
            wire.raise_error(b"", {wire.ERROR_CODE: code, wire.ERROR: "no such thing"})
        assert caught.value.code == kind.code


def test_a_reply_without_the_header_is_none():
    body = b'{"kind":"not_found","message":"x"}'
    wire.raise_error(body, {"Other": "1"})
    with pytest.raises(NotFound):
        wire.raise_error(body, {wire.ERROR_CODE: "404"})


@pytest.mark.parametrize(
    ("raw", "headers"),
    [
        (b"NATS/1.0\r\nA: b\r\nLong-Name:  c: d \r\n\r\n", {"A": "b", "Long-Name": "c: d"}),
        (b"NATS/1.0 503\r\n\r\n", {"Status": "503"}),
        (b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 7\r\n\r\n",
         {"Status": "100", "Description": "Idle Heartbeat", "Nats-Last-Consumer": "7"}),
        (b"NATS/1.0\r\nA: \xff\r\nno header\r\n\r\n", {"A": "\ufffd"}),
    ],
)  # fmt: skip
def test_headers_are_read_as_the_broker_writes_them(raw, headers):
    assert wire.read_headers(raw) == headers
