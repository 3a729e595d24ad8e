from __future__ import annotations

import pytest

from shared.digest import (
    chain_ids,
    check_digest,
    check_sha256,
    digest_of,
    hex_of,
    is_sha256,
    short,
)
from shared.errors import InvalidArgument

A = "sha256:" + "a" * 64


def test_the_digest_of_nothing_is_the_known_one() -> None:
    assert digest_of(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_chain_ids_as_the_image_spec_defines_them() -> None:
    first, second = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    assert chain_ids([]) == ()
    assert chain_ids([first]) == (first,)
    assert chain_ids([first, second]) == (first, digest_of(f"{first} {second}".encode()))


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:" + "A" * 64, "sha256:" + "a" * 63, A + "\n", "sha512:" + "a" * 128]
)
def test_what_is_no_sha256_digest(text: str) -> None:
    assert not is_sha256(text)
    with pytest.raises(InvalidArgument, match="layers: not a sha256 digest"):
        check_sha256(text, "layers")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "invalid checksum digest format"),
        ("md5:" + "a" * 32, "unsupported digest algorithm"),
        ("sha256:" + "a" * 32, "invalid checksum digest length"),
        ("sha256:" + "A" * 64, "invalid checksum digest format"),
    ],
)
def test_texts_for_wrong_digests(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        check_digest(text)


def test_registered_algorithms_pass() -> None:
    assert check_digest(A) == A
    assert check_digest("sha512:" + "0" * 128)


def test_short_ids_are_twelve_digits_without_the_algorithm() -> None:
    assert short(A) == "a" * 12
    assert short("b" * 64) == "b" * 12
    assert hex_of(A) == "a" * 64
