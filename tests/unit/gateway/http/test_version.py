from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.version import NEWEST, OFFERED, OLDEST, Version, split
from shared.errors import InvalidArgument


def test_a_path_without_prefix_has_the_offered_version() -> None:
    assert split("/containers/json") == (OFFERED, "/containers/json")


def test_versions_compare_by_number() -> None:
    assert Version(1, 9) < Version(1, 24) < Version(1, 51)


@given(st.integers(OLDEST.minor, NEWEST.minor), st.text(min_size=1))
def test_every_served_version_is_taken_off_the_path(minor: int, rest: str) -> None:
    assert split(f"/v1.{minor}/{rest}") == (Version(1, minor), f"/{rest}")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/v9.9/version", "client version 9.9 is too new. Maximum supported API version is 1.55"),
        (
            "/v1.5/version",
            "client version 1.5 is too old. Minimum supported API version is 1.24, "
            "please upgrade your client to a newer version",
        ),
        ("/v1/version", "invalid API version: 1"),
        ("/v1.2.3/version", "invalid API version: 1.2.3"),
        ("/v99999999999.1/version", "invalid API version: 99999999999.1"),
    ],
)
def test_other_versions_are_refused_in_dockers_words(path: str, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        split(path)
    assert caught.value.message == text


def test_what_only_looks_like_a_version_is_a_path() -> None:
    assert split("/vx/version") == (OFFERED, "/vx/version")
