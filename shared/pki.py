"""The cluster's own certificate authority: hosts know each other by certificates that it issued (RFC 5280).

Keys are of P-256 and never leave the host they were made on: a host asks by a signing request (PKCS #10, RFC 2986),
of which only the public key is taken; names are what the issuer knows of the host.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import InvalidArgument, Unauthenticated

if TYPE_CHECKING:  # the library costs 10 MB, and is needed when a host joins or renews
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

AUTHORITY_DAYS = 3650
HOST_DAYS = 90
EARLIER = datetime.timedelta(hours=1)
"""Certificates begin to be valid so much earlier: clocks of hosts differ."""
_NONCE = bytes(12)
"""Every sealing has a key of its own."""
_POINT_BYTES = 65
MOST_BYTES = 16 << 10
"""A signing request or certificate that is longer is refused."""


@dataclass(frozen=True)
class Identity:
    """A certificate and its private key, both as PEM."""

    certificate: bytes
    key: bytes


def new_key() -> bytes:
    """A private key as PEM (PKCS #8)."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def authority(cluster: str, now: int) -> Identity:
    """A new authority for a cluster; `now` in nanoseconds."""
    from cryptography import x509

    key = new_key()
    private = _private(key)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"shoal cluster {cluster}")])
    builder = _certificate(name, name, private.public_key(), now, AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs=True), critical=True)
    return Identity(_signed(builder, private), key)


def request(key: bytes) -> bytes:
    """A signing request for the public part of a host's key, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(_private(key), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def issue(by: Identity, asked: bytes, node: str, address: str, now: int, days: int = HOST_DAYS) -> bytes:
    """A host's certificate, good for both ends of a connection; `address` an IP address or a DNS name.

    Raises `InvalidArgument` for what is no signing request, or one that its own key has not signed.
    """
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    public = _asked_key(asked)
    issuer = x509.load_pem_x509_certificate(by.certificate)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, node)])
    builder = _certificate(name, issuer.subject, public, now, days)
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName([_name(address)]), critical=False)
    return _signed(builder, _private(by.key))


def seal(content: bytes, asked: bytes) -> bytes:
    """Content that only who has the key of a signing request can read.

    ECIES: ephemeral ECDH on P-256, HKDF (RFC 5869), AES-GCM; the ephemeral key's point, uncompressed, goes before.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    public, once = _asked_key(asked), ec.generate_private_key(ec.SECP256R1())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    form = serialization.PublicFormat.UncompressedPoint
    point = once.public_key().public_bytes(serialization.Encoding.X962, form)
    return point + AESGCM(_derived(once.exchange(ec.ECDH(), public), point)).encrypt(_NONCE, content, None)


def unseal(sealed: bytes, key: bytes) -> bytes:
    """What was sealed for this key; raises `InvalidArgument` for anything else."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    point, rest = sealed[:_POINT_BYTES], sealed[_POINT_BYTES:]
    try:
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        return AESGCM(_derived(_private(key).exchange(ec.ECDH(), public), point)).decrypt(_NONCE, rest, None)
    except (ValueError, InvalidTag):
        raise InvalidArgument("this was sealed for another key") from None


def _derived(shared: bytes, point: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(hashes.SHA256(), 32, point, b"shoal cluster authority").derive(shared)


def check_issued(certificate: bytes, by: bytes, now: int) -> None:
    """That a certificate (DER, as TLS tells a peer's) is by this authority (PEM) and valid; else `Unauthenticated`."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        read = x509.load_der_x509_certificate(certificate)
        read.verify_directly_issued_by(x509.load_pem_x509_certificate(by))
    except (ValueError, TypeError, InvalidSignature) as error:
        raise Unauthenticated(f"its certificate is not by the cluster's authority: {error}") from None
    if not read.not_valid_before_utc.timestamp() <= now / 1e9 < read.not_valid_after_utc.timestamp():
        raise Unauthenticated("its certificate has expired, or the clock of one host is wrong")


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate in lower-case base32 without padding: 52 letters that pin it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    der = x509.load_pem_x509_certificate(certificate).public_bytes(serialization.Encoding.DER)
    return base64.b32encode(hashlib.sha256(der).digest()).decode().rstrip("=").lower()


def node_of(certificate: bytes) -> str:
    """The node id that a host's certificate is made out to."""
    from cryptography import x509

    names = x509.load_pem_x509_certificate(certificate).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def renewal(certificate: bytes) -> int:
    """When two thirds of a certificate's time are over, in nanoseconds: it is renewed from then on."""
    from cryptography import x509

    read = x509.load_pem_x509_certificate(certificate)
    begin, end = read.not_valid_before_utc.timestamp(), read.not_valid_after_utc.timestamp()
    return int((begin + 2 * end) / 3 * 1e9)


def pin(asked: bytes) -> str:
    """SHA-256 of a signing request's public key (SubjectPublicKeyInfo) in hexadecimal, as nats-server pins it.

    Raises `InvalidArgument` for what is no signing request.
    """
    from cryptography.hazmat.primitives import serialization

    key = _asked_key(asked)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(serialization.Encoding.DER, form)).hexdigest()


def _private(key: bytes) -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = serialization.load_pem_private_key(key, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return private


def _asked_key(asked: bytes) -> CertificatePublicKeyTypes:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        if len(asked) > MOST_BYTES:
            raise ValueError("too long")
        read = x509.load_pem_x509_csr(asked)
        public = read.public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey) or not read.is_signature_valid:
            raise ValueError("its key has not signed it, or is of another kind than P-256")
    except (ValueError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise InvalidArgument(f"this is no signing request: {error}") from None
    return public


def _certificate(
    subject: x509.Name, issuer: x509.Name, public: CertificatePublicKeyTypes, now: int, days: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    begin = datetime.datetime.fromtimestamp(now / 1e9, datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - EARLIER)
        .not_valid_after(begin + datetime.timedelta(days=days))
    )


def _usage(signs: bool) -> x509.KeyUsage:
    from cryptography import x509

    never = {"content_commitment", "key_encipherment", "data_encipherment", "key_agreement"}
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
        **dict.fromkeys(never, False),
    )


def _name(address: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _signed(builder: x509.CertificateBuilder, by: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import hashes, serialization

    return builder.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
