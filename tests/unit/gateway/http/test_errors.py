from __future__ import annotations

import msgspec
import pytest

from gateway.http.errors import STATUS, from_error, refusal, status_of
from shared.errors import KINDS, NotFound, NotModified, ShoalError, Unavailable


def test_every_kind_has_a_status() -> None:
    assert set(STATUS) == set(KINDS.values())


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotFound("x"), 404), (Unavailable("x"), 503), (NotModified("x"), 304), (ShoalError("x"), 500)],
)
def test_status_by_kind(error: ShoalError, status: int) -> None:
    assert status_of(error) == status


def test_an_error_is_dockers_message() -> None:
    response = from_error(NotFound("No such container: x"))
    assert (response.status, msgspec.json.decode(response.body)) == (404, {"message": "No such container: x"})
    assert not response.close


def test_not_modified_has_no_body() -> None:
    assert refusal(304, "x").body == b""
