from __future__ import annotations

import pytest

from gateway.progress import error_line, has_ended


def test_an_error_line_becomes_an_http_error() -> None:
    response = error_line(b'{"errorDetail":{"code":403,"message":"denied"},"error":"denied"}\n')
    assert response is not None
    assert (response.status, response.body) == (403, b'{"message":"denied"}\n')


@pytest.mark.parametrize("code", [None, 0, 200, 999, "x"])
def test_without_a_status_it_is_a_bad_request(code: object) -> None:
    text = f'{{"errorDetail":{{"code":{code!r},"message":"m"}},"error":"m"}}'.replace("None", "null").replace("'", '"')
    response = error_line(text.encode())
    assert response is not None
    assert response.status == 400


@pytest.mark.parametrize("data", [b"", b'{"stream":"x"}\n', b'{"error', b"tar bytes", b'{"error' + b"x" * 100_000])
def test_anything_else_is_no_error(data: bytes) -> None:
    assert error_line(data) is None


def test_lines_of_progress_end_in_one_that_says_so() -> None:
    ends = (b'"Status: ',)
    assert has_ended(b'{"status":"Pull complete"}\r\n{"status":"Status: Downloaded newer image for a:1"}\r\n', ends)
    assert has_ended(b'{"errorDetail":{"message":"x"},"error":"x"}\n', ends)
    assert not has_ended(b'{"status":"Status: Image is up to date"}\r\n{"status":"Pulling fs layer"}\r\n', ends)
    assert not has_ended(b"", ends)
