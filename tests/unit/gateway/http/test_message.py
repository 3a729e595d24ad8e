from __future__ import annotations

from typing import Any, cast

from gateway.http.inbox import Inbox
from gateway.http.message import Request, Response


def request(**headers: str) -> Request:
    inbox = Inbox(lambda: None, lambda: None)
    return Request(cast("Any", None), "POST", "/x", "a=1", headers, inbox)


def test_an_upgrade_is_told_by_its_header() -> None:
    assert request(upgrade="tcp").upgrade
    assert not request(connection="close").upgrade


def test_the_query_is_at_hand() -> None:
    assert request().query.get("a") == "1"


def test_an_answer_is_plain_unless_said() -> None:
    response = Response(204)
    assert (response.status, response.body, response.headers, response.close) == (204, b"", (), False)
