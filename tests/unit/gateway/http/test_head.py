from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.errors import HttpError
from gateway.http.head import MAX_HEADERS, parse


def test_a_request_is_read() -> None:
    head = parse(b"POST /v1.41/x%20y?a=%31 HTTP/1.1\r\nHost: docker\r\nContent-Length: 12\r\nA: 1\r\na: 2\r\n\r\n")
    assert (head.method, head.split_target(), head.length) == ("POST", ("/v1.41/x y", "a=%31"), 12)
    assert head.headers == {"host": "docker", "content-length": "12", "a": "1, 2"}
    assert head.keep_alive


def test_a_chunked_body_has_no_length_and_is_parsed_as_it_comes() -> None:
    head = parse(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert head.length is None
    head.feed(b"3\r\nab")
    head.feed(b"c\r\n0\r\n\r\n")
    assert (head.take(), head.take(), head.complete) == (b"abc", b"", True)


def test_an_upgrade_is_a_request_like_any_other() -> None:
    head = parse(b"POST /attach HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    assert head.headers["upgrade"] == "tcp"
    assert head.keep_alive


def test_an_absolute_target_is_reduced_to_its_path() -> None:
    assert parse(b"GET http://host:1/a?b=c HTTP/1.1\r\n\r\n").split_target() == ("/a", "b=c")


def test_old_clients_do_not_keep_the_connection() -> None:
    assert not parse(b"GET / HTTP/1.0\r\n\r\n").keep_alive


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
)
def test_what_is_not_http_is_a_400(data: bytes) -> None:
    with pytest.raises(HttpError) as caught:
        parse(data)
    assert caught.value.status == 400


@pytest.mark.parametrize("line", [b"GET /", b"GET / HTTP/0.9"])
def test_older_versions_are_not_served(line: bytes) -> None:
    with pytest.raises(HttpError):
        parse(line + b"\r\n\r\n")


def test_too_many_headers_are_a_431() -> None:
    lines = b"".join(b"a%d: 1\r\n" % number for number in range(MAX_HEADERS + 1))
    with pytest.raises(HttpError) as caught:
        parse(b"GET / HTTP/1.1\r\n" + lines + b"\r\n")
    assert caught.value.status == 431


def test_a_path_that_is_no_text_is_a_400() -> None:
    with pytest.raises(HttpError, match="UTF-8"):
        parse(b"GET /%ff HTTP/1.1\r\n\r\n").split_target()


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parser(data: bytes) -> None:
    with suppress(HttpError):
        path, _ = parse(data + b"\r\n\r\n").split_target()
        assert isinstance(path, str)


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        (b"GET / HTTP/1.1\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n", False),
        (b"GET / HTTP/1.1\r\nConnection: x, Close\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n", True),
        (b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\n", False),
    ],
)
def test_the_client_says_whether_the_connection_is_kept(lines: bytes, kept: bool) -> None:
    assert parse(lines + b"\r\n").keep_alive is kept
