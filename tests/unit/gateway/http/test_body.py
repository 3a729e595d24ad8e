from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http import body
from gateway.http.errors import HttpError
from gateway.http.inbox import Inbox
from gateway.http.message import Request
from shared.errors import InvalidArgument


def request(data: bytes, content_type: str | None = "application/json", length: int | None = -1) -> Request:
    inbox = Inbox(lambda: None, lambda: None)
    inbox.feed(data)
    inbox.feed_eof()
    headers = {} if content_type is None else {"content-type": content_type}
    made = Request(cast("Any", None), "POST", "/", "", headers, inbox)
    made.content_length = len(data) if length == -1 else length
    return made


async def test_a_json_object_is_read() -> None:
    assert await body.read_json(request(b'{"Image":"x"}', "application/json; charset=utf-8"), 100) == {"Image": "x"}


async def test_no_body_is_nothing() -> None:
    assert await body.read_json(request(b"", None), 100) is None
    assert await body.read_json(request(b"null"), 100) is None


@pytest.mark.parametrize("length", [-1, None])
async def test_more_than_the_limit_is_a_413(length: int | None) -> None:
    with pytest.raises(HttpError) as caught:
        await body.read(request(b"x" * 101, length=length), 100)
    assert caught.value.status == 413


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/jsonx"])
async def test_a_body_must_be_json_by_its_header(content_type: str | None) -> None:
    with pytest.raises(InvalidArgument, match="Content-Type"):
        await body.read_json(request(b"{}", content_type), 100)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"{", "invalid JSON"),
        (b'{"a":1}x', "invalid JSON"),
        (b"[]", "cannot unmarshal array"),
        (b'"x"', "cannot unmarshal string"),
        (b"1", "cannot unmarshal number"),
        (b"true", "cannot unmarshal bool"),
        (b'{"a":"\xff"}', "invalid JSON"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    ],
)
def test_other_bodies_are_refused(data: bytes, text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        body.decode(data)


@given(st.binary(max_size=50))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    with suppress(InvalidArgument):
        assert isinstance(body.decode(data), dict | None)


async def test_a_body_cut_short_is_told() -> None:
    cut = request(b"{")
    inbox = Inbox(lambda: None, lambda: None)
    inbox.feed(b"{")
    inbox.fail()
    cut.body = inbox
    with pytest.raises(HttpError, match="unexpected EOF"):
        await body.read(cut, 100)
