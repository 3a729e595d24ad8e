"""How two hosts agree on keys for one direction between them. Values to values.

X25519 (RFC 7748), each half signed by its host's key, and HKDF (RFC 5869).

The receiver chooses the security parameter index and has the keys before the sender: nothing sealed under them is lost.
No key is kept anywhere or sent; who takes a host's key later reads nothing of what was sent before.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import pki
from shared.errors import Unauthenticated

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

MATERIAL_BYTES = 36
"""AES-256 and its salt (RFC 4106)."""
_CONTEXT = b"shoal tunnel keys v1"
LOWEST_SPI = 256
"""Smaller ones are reserved (RFC 4303, 2.1)."""


@dataclass(frozen=True)
class Half:
    """What one host says: who it is, whom it speaks to, its half of the agreement, and `more` signed with it."""

    node: str
    peer: str
    public: bytes
    more: bytes = b""

    def signed_text(self) -> bytes:
        """Each part with its length: no two halves have the same text."""
        parts = (_CONTEXT, self.node.encode(), self.peer.encode(), self.public, self.more)
        return b"".join(struct.pack(">H", len(part)) + part for part in parts)


def public_of(private: X25519PrivateKey) -> bytes:
    """The 32 bytes that the other host is told."""
    return private.public_key().public_bytes_raw()


def sign(half: Half, key: bytes) -> bytes:
    """The signature of a host's key (PEM) under its half."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = serialization.load_pem_private_key(key, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return private.sign(half.signed_text(), ec.ECDSA(hashes.SHA256()))


def check(half: Half, signature: bytes, certificate: bytes, authority: bytes, now: int) -> None:
    """That the half is by the host that it names, a host of this cluster (certificate and authority as PEM).

    Raises `Unauthenticated`.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        if len(certificate) > pki.MOST_BYTES:
            raise ValueError("too long")
        read = x509.load_pem_x509_certificate(certificate)
        pki.check_issued(read.public_bytes(serialization.Encoding.DER), authority, now)
        if pki.node_of(certificate) != half.node:
            raise Unauthenticated(f"its certificate is not that of host {half.node}")
        public = read.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        _verify(public, signature, half.signed_text(), ec.ECDSA(hashes.SHA256()))
    except (ValueError, AssertionError, InvalidSignature) as error:
        raise Unauthenticated(f"host {half.node} has not signed this: {error}") from None


def _verify(public: EllipticCurvePublicKey, signature: bytes, text: bytes, by: object) -> None:
    public.verify(signature, text, by)  # type: ignore[arg-type]


def material(private: X25519PrivateKey, other: bytes, sender: Half, receiver: Half) -> bytes:
    """Key and salt for what `sender` seals and `receiver` opens; the same at both.

    Raises `Unauthenticated` for a half that no key has.
    """
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(other))
    except ValueError as error:
        raise Unauthenticated(f"no half of an agreement: {error}") from None
    info = sender.signed_text() + receiver.signed_text()
    return HKDF(hashes.SHA256(), MATERIAL_BYTES, None, info).derive(shared)
