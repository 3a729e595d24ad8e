from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.image_store.domain.registry_auth import (
    Challenge,
    basic,
    challenges,
    realm,
    scope,
    token,
    token_form,
    token_url,
)
from shared.contracts.image_store import Credentials
from shared.errors import Unknown

HUB = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"'


def test_the_challenge_of_a_public_registry() -> None:
    (found,) = challenges([HUB])
    assert found == Challenge(
        "bearer",
        {
            "realm": "https://auth.docker.io/token",
            "service": "registry.docker.io",
            "scope": "repository:a/b:pull,push",
        },
    )


def test_several_challenges_in_one_header_and_in_several() -> None:
    header = 'Basic realm="a \\"quoted\\" one", Bearer realm=x,error="invalid_token" , Negotiate'
    assert [each.scheme for each in challenges([header, 'BASIC realm="b"'])] == [
        "basic",
        "bearer",
        "negotiate",
        "basic",
    ]
    assert challenges([header])[0].parameters == {"realm": 'a "quoted" one'}
    assert challenges([header])[1].parameters == {"realm": "x", "error": "invalid_token"}


@given(st.text(max_size=200))
def test_any_header_is_read_in_bounded_time(text: str) -> None:
    assert all(each.scheme == each.scheme.lower() for each in challenges([text]))


def test_where_a_token_is_got() -> None:
    login = Credentials(username="me", password="secret")
    url = token_url(challenges([HUB])[0], [scope("a/b", "pull")], login, offline=True)
    assert url.startswith("https://auth.docker.io/token?")
    assert parse_qs(urlsplit(url).query) == {
        "service": ["registry.docker.io"],
        "scope": ["repository:a/b:pull"],
        "account": ["me"],
        "offline_token": ["true"],
        "client_id": ["docker"],
    }
    assert "secret" not in url


def test_without_a_scope_of_our_own_the_challenge_has_one() -> None:
    assert "scope=repository%3Aa%2Fb%3Apull%2Cpush" in token_url(challenges([HUB])[0], [], Credentials(), False)


def test_what_the_realm_brings_along_stays() -> None:
    challenge = Challenge("bearer", {"realm": "https://r/t?tenant=5"})
    assert token_url(challenge, ["s"], Credentials(), False) == "https://r/t?tenant=5&scope=s"


def test_an_identity_token_is_posted() -> None:
    assert token_form(challenges([HUB])[0], ["s1", "s2"], "refresh") == {
        "scope": "s1 s2",
        "service": "registry.docker.io",
        "client_id": "docker",
        "grant_type": "refresh_token",
        "refresh_token": "refresh",
    }


@pytest.mark.parametrize("address", ["", "ftp://x/", "/token", "https://", "http://[", "file:///etc/passwd"])
def test_a_realm_that_cannot_be_asked(address: str) -> None:
    with pytest.raises(Unknown, match="realm"):
        realm(Challenge("bearer", {"realm": address} if address else {}))


def test_tokens() -> None:
    assert token(b'{"token":"a"}').value == "a"
    assert token(b'{"token":"a","access_token":"b","expires_in":300,"refresh_token":"r"}').value == "b"
    assert token(b'{"token":"a","expires_in":1}').seconds == 60
    assert token(b'{"token":"a","expires_in":300,"refresh_token":"r"}').refresh == "r"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"token":""}', b'{"token":"a\\r\\nX: y"}', b"[" * 100_000, b'{"token":5}']
)
def test_no_token(body: bytes) -> None:
    with pytest.raises(Unknown):
        token(body)


def test_basic() -> None:
    assert basic(Credentials(username="me", password="ü")) == "Basic bWU6w7w="
    assert basic(Credentials(username="me")) == ""
