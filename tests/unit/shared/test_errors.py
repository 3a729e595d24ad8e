"""Kinds of errors: one wire name each, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import errors
from shared.errors import KINDS, Internal, NotFound, ShoalError, from_kind


def test_every_kind_defined_is_in_the_table() -> None:
    defined = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, ShoalError)}
    assert set(KINDS.values()) == defined - {ShoalError}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_crosses_the_wire_as_itself(kind: str) -> None:
    error = from_kind(kind, "text", {"field": "name"})
    assert type(error) is KINDS[kind]
    assert (error.kind, error.message, str(error), error.details) == (kind, "text", "text", {"field": "name"})


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("invalid_argument", 400), ("unauthenticated", 401), ("permission_denied", 403), ("not_found", 404),
        ("already_exists", 409), ("conflict", 409), ("aborted", 409), ("failed_precondition", 412),
        ("resource_exhausted", 429), ("cancelled", 499), ("internal", 500), ("data_loss", 500),
        ("not_implemented", 501), ("unavailable", 503), ("deadline_exceeded", 504), ("not_modified", 304),
    ],
)  # fmt: skip
def test_the_code_of_a_kind(kind: str, code: int) -> None:
    assert KINDS[kind].code == code


@given(st.text().filter(lambda kind: kind not in KINDS), st.text())
def test_the_kind_of_a_newer_peer_is_internal(kind: str, message: str) -> None:
    error = from_kind(kind, message)
    assert type(error) is Internal
    assert (error.message, error.details) == (message, {})


def test_details_may_have_the_name_of_any_parameter() -> None:
    assert from_kind("not_found", "gone", {"message": "m", "self": "s"}).details == {"message": "m", "self": "s"}


def test_details_belong_to_one_error() -> None:
    given_details = {"field": "name"}
    error = from_kind("not_found", "gone", given_details)
    given_details["field"] = "other"
    assert error.details == {"field": "name"}


def test_details_are_named_where_the_error_is_raised() -> None:
    assert NotFound("no such volume", volume="data").details == {"volume": "data"}
