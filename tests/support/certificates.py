"""A certificate authority for tests: servers named localhost, and clients."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared import clock


class Authority:
    """Keys and certificates lie in `folder`; `pem` is what has to be trusted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self._certificate = self._sign(self._name, self._key, None, 10)
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def _sign(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, host: str | None, days: int) -> x509.Certificate:
        from datetime import UTC, datetime

        now = datetime.fromtimestamp(clock.now_ns() / 1e9, UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=5))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        )
        if host:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def issue(self, host: str = "localhost", days: int = 10) -> tuple[str, str]:
        """A certificate and its key, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        certificate = self._sign(name, key, host, days).public_bytes(serialization.Encoding.PEM).decode()
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return certificate, key.private_bytes(serialization.Encoding.PEM, *form).decode()

    def server(self, days: int = 10, wants_client: bool = False, host: str = "localhost") -> ssl.SSLContext:
        """For a server of that name; `wants_client`: it insists on a certificate of this authority."""
        certificate, key = self.issue(host, days)
        file = self._folder / "server.pem"
        file.write_text(certificate + key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        if wants_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.pem)
        return context
