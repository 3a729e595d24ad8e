"""Two hosts agree on keys."""

from __future__ import annotations

import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from services.network.domain import agreement
from services.network.domain.agreement import Half
from shared import clock, pki
from shared.errors import Unauthenticated

AUTHORITY = pki.authority("test", clock.now_ns())


def host(node: str, authority: pki.Identity = AUTHORITY) -> pki.Identity:
    key = pki.new_key()
    return pki.Identity(pki.issue(authority, pki.request(key), node, "10.0.0.1", clock.now_ns()), key)


A, B = host("a"), host("b")


def half(node: str = "a", peer: str = "b", public: bytes = bytes(32), more: bytes = b"") -> Half:
    return Half(node, peer, public, more)


def test_both_have_the_same_keys_and_nobody_else() -> None:
    one, two, third = (X25519PrivateKey.generate() for _ in range(3))
    ours, theirs = (half(public=agreement.public_of(one)), half("b", "a", agreement.public_of(two), b"1"))
    keys = agreement.material(one, theirs.public, ours, theirs)
    assert len(keys) == agreement.MATERIAL_BYTES
    assert agreement.material(two, ours.public, ours, theirs) == keys
    assert agreement.material(third, ours.public, ours, theirs) != keys
    assert agreement.material(two, ours.public, theirs, ours) != keys, "the other direction"
    assert agreement.material(two, ours.public, ours, dataclasses.replace(theirs, more=b"2")) != keys


def test_a_half_is_by_the_host_it_names() -> None:
    signature = agreement.sign(half(), A.key)
    now = clock.now_ns()
    agreement.check(half(), signature, A.certificate, AUTHORITY.certificate, now)
    stranger = host("a", pki.authority("other", now))
    for said, signed, certificate in (
        (half(peer="c"), signature, A.certificate),
        (half(public=b"\1" * 32), signature, A.certificate),
        (half(more=b"1"), signature, A.certificate),
        (half(), agreement.sign(half(), B.key), A.certificate),
        (half(), agreement.sign(half(), B.key), B.certificate),
        (half(), agreement.sign(half(), stranger.key), stranger.certificate),
        (half(), signature, b"nothing"),
        (half(), signature, A.certificate + b" " * pki.MOST_BYTES),
        (half(), b"", A.certificate),
    ):
        with pytest.raises(Unauthenticated):
            agreement.check(said, signed, certificate, AUTHORITY.certificate, now)
    with pytest.raises(Unauthenticated):
        agreement.check(half(), signature, A.certificate, AUTHORITY.certificate, now + 10**9 * 3600 * 24 * 1000)


def test_parts_cannot_be_moved_from_one_to_another() -> None:
    assert Half("ab", "c", b"d").signed_text() != Half("a", "bc", b"d").signed_text()
    assert Half("a", "b", b"cd", b"e").signed_text() != Half("a", "b", b"c", b"de").signed_text()


@pytest.mark.parametrize("public", [b"", bytes(31), bytes(33), bytes(32)])
def test_what_is_no_half_is_refused(public: bytes) -> None:
    with pytest.raises(Unauthenticated):
        agreement.material(X25519PrivateKey.generate(), public, half(), half())
