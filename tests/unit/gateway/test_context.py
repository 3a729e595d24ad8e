from __future__ import annotations

from gateway.context import NO_CONTENT, reply


def test_json_ends_with_a_newline_as_dockers_does() -> None:
    response = reply({"Id": "x"}, 201)
    assert (response.status, response.body) == (201, b'{"Id":"x"}\n')
    assert response.headers == (("Content-Type", "application/json"),)


def test_no_content() -> None:
    assert (NO_CONTENT.status, NO_CONTENT.body) == (204, b"")
