"""Why there is no answer from a registry, in the words of Go's HTTP client, which people know from Docker."""

from __future__ import annotations

import os
import re
import ssl

import aiohttp

_ADDRESS = re.compile(r"\('([^']+)', (\d+)")
_UNKNOWN_AUTHORITY, _EXPIRED, _WRONG_HOST = (2, 18, 19, 20, 21), (9, 10), (62, 64)
_PLAIN = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")


class Trouble(Exception):
    """A registry that does what no registry should. `kind` as in `registry_wire.Said.trouble`."""

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(text)
        self.kind = kind


def explained(error: BaseException) -> tuple[str, str]:
    """(kind as in `Said.trouble`, text) of what was raised by a request."""
    if isinstance(error, Trouble):
        return error.kind, str(error)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "", f"dial tcp: lookup {error.host}: no such host"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "", f"tls: failed to verify certificate: {_certificate(error.certificate_error, error.host)}"
    if isinstance(error, aiohttp.ClientSSLError):
        return _tls(error.os_error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return "", f"proxy: {error.status} {error.message}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "", _dial(error)
    return "", _rest(error)


def _rest(error: BaseException) -> str:
    if isinstance(error, aiohttp.ServerTimeoutError | TimeoutError):
        return "timeout awaiting the registry's answer"
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return "unexpected EOF"
    if isinstance(error, OSError):
        return f"{(error.strerror or str(error)).lower()}"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"malformed HTTP response: {error.message[:200]}"
    return f"{str(error)[:300] or type(error).__name__}"


def _dial(error: aiohttp.ClientConnectorError) -> str:
    reason = errno_text(error.os_error)
    found = _ADDRESS.search(str(error.os_error))
    where = f"{found[1]}:{found[2]}" if found else f"{error.host}:{error.port}"
    return f"dial tcp {where}: connect: {reason}"


def errno_text(error: OSError) -> str:
    """`connection refused` and the like."""
    if isinstance(error, TimeoutError):
        return "connection timed out"
    return os.strerror(error.errno).lower() if error.errno else str(error)[:200].lower()


def _tls(error: OSError) -> tuple[str, str]:
    reason = getattr(error, "reason", "") or ""
    if any(word in reason or word in str(error) for word in _PLAIN):
        return "plain", "http: server gave HTTP response to HTTPS client"
    return "", f"tls: {reason.lower().replace('_', ' ') or str(error)[:200]}"


def _certificate(error: Exception, host: str) -> str:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    if code in _UNKNOWN_AUTHORITY:
        return "x509: certificate signed by unknown authority"
    if code in _EXPIRED:
        return "x509: certificate has expired or is not yet valid"
    if code in _WRONG_HOST:
        return f"x509: certificate is not valid for {host}"
    return f"x509: {getattr(error, 'verify_message', '') or str(error)[:200]}"
