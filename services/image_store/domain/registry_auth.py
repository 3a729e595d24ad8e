"""Proving to a registry who asks: challenges and tokens (RFC 9110; distribution's token specification). Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from shared.contracts.distribution import Credentials
from shared.errors import Unknown

CLIENT_ID = "docker"
SHORTEST_LIFE = 60.0
"""Seconds that a token lives at least, whatever its server says (distribution's token specification)."""
LONGEST_TOKEN_ANSWER = 1 << 20
_CHALLENGE = re.compile(r"\s*([A-Za-z][A-Za-z0-9._-]*)(?:\s+|\Z)")
_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z][A-Za-z0-9_-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


class Challenge(msgspec.Struct, frozen=True):
    """One way to authenticate that a server offers; the scheme in lower case."""

    scheme: str
    parameters: dict[str, str] = {}


class Token(msgspec.Struct, frozen=True):
    """A token and the seconds for which it may be used; `refresh` is a new identity token, where one was given."""

    value: str
    seconds: float
    refresh: str = ""


class _Answer(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None
    refresh_token: str | None = None
    expires_in: float | None = None


def basic(login: Credentials) -> str:
    """The value of a header for Basic authentication, or ""."""
    if not login.username or not login.password:
        return ""
    return "Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode()


def challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """The challenges in `WWW-Authenticate` headers; what cannot be read is left out."""
    found: list[Challenge] = []
    for header in headers:
        at = 0
        while match := _CHALLENGE.match(header, at):
            parameters: dict[str, str] = {}
            at = match.end()
            while parameter := _PARAMETER.match(header, at):
                quoted, plain = parameter[2], parameter[3]
                parameters[parameter[1].lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                at = parameter.end()
            found.append(Challenge(match[1].lower(), parameters))
            at += len(re.match(r"[\s,]*", header[at:])[0])  # type: ignore[index]  # it matches nothing at least
    return tuple(found)


def scope(repository: str, *actions: str) -> str:
    """The scope of a token for one repository."""
    return f"repository:{repository}:{','.join(actions)}"


def token_url(challenge: Challenge, scopes: Iterable[str], login: Credentials, offline: bool) -> str:
    """Where a token is got by GET. Raises `Unknown` for a challenge that names no usable place."""
    parts = urlsplit(realm(challenge))
    query = parse_qsl(parts.query, keep_blank_values=True)
    if service := challenge.parameters.get("service"):
        query.append(("service", service))
    query += [("scope", each) for each in _scopes(challenge, scopes)]
    if offline:
        query += [("offline_token", "true"), ("client_id", CLIENT_ID)]
    if basic(login):
        query.append(("account", login.username))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(query), ""))


def token_form(challenge: Challenge, scopes: Iterable[str], identity_token: str) -> dict[str, str]:
    """What is posted to get a token for an identity token (OAuth 2, `refresh_token`)."""
    return {
        "scope": " ".join(_scopes(challenge, scopes)),
        "service": challenge.parameters.get("service", ""),
        "client_id": CLIENT_ID,
        "grant_type": "refresh_token",
        "refresh_token": identity_token,
    }


def realm(challenge: Challenge) -> str:
    """The token service's address; `Unknown` when the challenge has none that could be asked."""
    address = challenge.parameters.get("realm", "")
    if not address:
        raise Unknown("no realm specified for token auth challenge")
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unknown(f"invalid token auth challenge realm: {address[:200]}")
    return address


def _scopes(challenge: Challenge, scopes: Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(scopes)
    return wanted or tuple(challenge.parameters.get("scope", "").split())


def token(document: bytes) -> Token:
    """The token in a token service's answer. Raises `Unknown`."""
    try:
        answer = msgspec.json.decode(document, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unknown(f"unable to decode token response: {error}") from None
    value = answer.access_token or answer.token
    if not value:
        raise Unknown("authorization server did not include a token in the response")
    if not value.isascii() or any(ord(char) < 0x21 for char in value):
        raise Unknown("the authorization server's token holds characters that no header can")
    return Token(value, max(answer.expires_in or 0, SHORTEST_LIFE), answer.refresh_token or "")
