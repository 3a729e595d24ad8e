from __future__ import annotations

import base64
import json

import pytest

from gateway.translate import registry
from shared.contracts.common import Platform
from shared.contracts.distribution import Credentials, DistributionReply, SearchReply, SearchResult
from shared.errors import InvalidArgument


def test_credentials_in_both_alphabets_with_and_without_padding() -> None:
    document = json.dumps({"username": "ü?>", "password": "p", "email": "x", "auth": ""}).encode()
    expected = Credentials(username="ü?>", password="p")
    header = base64.urlsafe_b64encode(document).decode()
    assert registry.decode(header) == registry.decode(header.rstrip("=")) == expected
    tokens = base64.urlsafe_b64encode(b'{"identitytoken":"i","registrytoken":"r"}').decode()
    assert registry.decode(tokens) == Credentials(identity_token="i", registry_token="r")


@pytest.mark.parametrize("header", ["", "!!", "bm90IGpzb24", "W10", "é", "bnVsbA==", "eyJ1c2VybmFtZSI6NX0="])
def test_credentials_that_cannot_be_read_are_none(header: str) -> None:
    assert registry.decode(header) == Credentials()


def test_a_login() -> None:
    given = registry.auth_config({"username": "u", "password": "p", "serveraddress": "r:5", "email": None})
    assert (given.serveraddress, given.credentials()) == ("r:5", Credentials(username="u", password="p"))
    assert registry.auth_config(None).credentials() == Credentials()
    with pytest.raises(InvalidArgument, match=r"\$\.username"):
        registry.auth_config({"username": 5})


def test_limits() -> None:
    assert (registry.limit(""), registry.limit("10")) == (0, 10)
    for text in ("x", "-1", "1.5", "٣", "9" * 30):
        with pytest.raises(InvalidArgument, match="invalid limit specified"):
            registry.limit(text)


def test_results() -> None:
    reply = SearchReply(results=(SearchResult(name="a", description="b", stars=5, is_official=True),))
    assert registry.found(reply) == [
        {"star_count": 5, "is_official": True, "name": "a", "is_automated": False, "description": "b"}
    ]
    assert registry.found(SearchReply()) == []


def test_what_is_under_a_name() -> None:
    reply = DistributionReply(
        media_type="m", digest="d", size=5, platforms=(Platform(), Platform(architecture="arm", variant="v7"))
    )
    assert registry.distribution(reply) == {
        "Descriptor": {"mediaType": "m", "digest": "d", "size": 5},
        "Platforms": [
            {"architecture": "amd64", "os": "linux"},
            {"architecture": "arm", "os": "linux", "variant": "v7"},
        ],
    }
    assert registry.distribution(DistributionReply(media_type="m", digest="d", size=5))["Platforms"] is None
