from __future__ import annotations

import pytest

from gateway.http import kept as module
from gateway.http import wire
from gateway.http.inbox import Inbox
from gateway.http.kept import LARGEST_ANSWER, LONGEST_REQUEST, Kept
from gateway.http.message import JSON, Request, Response

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Lasting:
    """Holds until told otherwise."""

    def __init__(self) -> None:
        self.lasts = True

    def holds(self) -> bool:
        return self.lasts


def request(method: str = "GET", length: int | None = 0) -> Request:
    made = Request(None, method, "/", "", {}, Inbox(lambda: None, lambda: None))  # type: ignore[arg-type]
    made.content_length = length
    return made


@pytest.fixture
def fresh() -> Lasting:
    return Lasting()


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_equal_bytes_get_the_same_answer_while_it_holds(kept: Kept, fresh: Lasting) -> None:
    response = Response(200, b"[]\n", JSON, fresh=fresh)
    kept.put(GET, request(), response)
    assert kept.get(GET) == wire.render_response(response, False, False)
    assert kept.get(GET[:-2]) is None
    assert kept.get(GET + GET) is None
    fresh.lasts = False
    assert kept.get(GET) is None
    fresh.lasts = True
    assert kept.get(GET) is None


def test_the_date_is_that_of_now(kept: Kept, fresh: Lasting, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.put(GET, request(), Response(200, b"OK", fresh=fresh))
    monkeypatch.setattr(wire, "now_ns", lambda: 1_000_000_000_000_000_000)
    assert b"Date: Sun, 09 Sep 2001 01:46:40 GMT" in (kept.get(GET) or b"")


def test_an_answer_to_head_has_no_body(kept: Kept, fresh: Lasting) -> None:
    kept.put(GET, request("HEAD"), Response(200, b"body", fresh=fresh))
    answer = kept.get(GET) or b""
    assert b"Content-Length: 4\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("head", "asked", "body", "lasts"),
    [
        (GET, request("POST"), b"", True),
        (GET, request("GET", length=2), b"", True),
        (GET, request("GET", length=None), b"", True),
        (GET, request(), b"", False),
        (GET, request(), b"x" * (LARGEST_ANSWER + 1), True),
        (GET + b"x" * LONGEST_REQUEST, request(), b"", True),
    ],
)
def test_what_is_not_kept(kept: Kept, fresh: Lasting, head: bytes, asked: Request, body: bytes, lasts: bool) -> None:
    kept.put(head, asked, Response(200, body, fresh=fresh if lasts else None))
    assert kept.get(head) is None


def test_not_more_is_kept_than_may_be(kept: Kept, fresh: Lasting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 5000)
    for _ in range(3):  # the same again takes no more room
        kept.put(GET, request(), Response(200, b"x" * 2000, fresh=fresh))
    kept.put(b"other", request(), Response(200, b"x" * 1000, fresh=fresh))
    assert kept.get(GET)
    kept.put(b"third", request(), Response(200, b"x" * 2000, fresh=fresh))
    assert (kept.get(GET), kept.get(b"other")) == (None, None)
    assert kept.get(b"third")
