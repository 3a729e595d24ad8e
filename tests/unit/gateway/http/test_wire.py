from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

from gateway.http.message import JSON, Response
from gateway.http.wire import MULTIPLEXED_STREAM, RAW_STREAM, render_head, render_hijack, render_response
from shared.clock import now_ns


def fields(data: bytes) -> tuple[bytes, dict[str, str], bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return lines[0].encode(), dict(line.split(": ", 1) for line in lines[1:]), body


def test_every_answer_tells_version_and_system() -> None:
    start, headers, body = fields(render_response(Response(201, b"{}\n", JSON), head_only=False, close=False))
    assert (start, body) == (b"HTTP/1.1 201 Created", b"{}\n")
    assert headers["Api-Version"] == "1.51"
    assert headers["Ostype"] == "linux"
    assert parsedate_to_datetime(headers["Date"]).timestamp() == pytest.approx(now_ns() / 1e9, abs=2)
    assert headers["Docker-Experimental"] == "true"
    assert headers["Server"].startswith("Docker/")
    assert headers["Content-Length"] == "3"
    assert "Connection" not in headers


def test_the_answer_to_head_has_the_length_but_no_body() -> None:
    _, headers, body = fields(render_response(Response(200, b"OK"), head_only=True, close=True))
    assert (headers["Content-Length"], headers["Connection"], body) == ("2", "close", b"")


def test_no_content_has_no_length() -> None:
    for status in (204, 304):
        _, headers, body = fields(render_response(Response(status), head_only=False, close=False))
        assert "Content-Length" not in headers
        assert body == b""


def test_a_stream_is_chunked_or_ends_with_the_connection() -> None:
    _, chunked, _ = fields(render_head(200, JSON, chunked=True, close=False))
    _, plain, _ = fields(render_head(200, JSON, chunked=False, close=False))
    assert chunked["Transfer-Encoding"] == "chunked"
    assert "Transfer-Encoding" not in plain
    assert plain["Connection"] == "close"


def test_a_hijacked_connection_is_answered_in_dockers_words() -> None:
    assert render_hijack(upgrade=True, content_type=MULTIPLEXED_STREAM) == (
        b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n"
        b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    )
    assert render_hijack(upgrade=False, content_type=RAW_STREAM) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
    )
