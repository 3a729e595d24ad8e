"""Proving who asks, request by request: challenges answered, tokens kept while they are good."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode, urlsplit

import msgspec

from shared.contracts.distribution import Credentials
from shared.errors import Unknown

from ..domain import registry_auth as auth
from ..domain.registry_auth import Challenge, basic
from .registry_wire import Command

_Key = tuple[str, str, tuple[str, ...], Credentials, bool]
"""Realm, service, scopes, whose credentials, and whether an identity token was asked for."""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Answered(Protocol):
    """A whole answer of a token service."""

    status: int
    body: bytes


Fetch = Callable[[Command, bytes | None], Awaitable[bytes]]
"""Sends a request without credentials of its own, returns the body of a good answer; raises what it is otherwise."""


@dataclass
class _Kept:
    value: str
    until: float
    identity_token: str = ""


class Logins:
    """The credentials' way into requests. A token serves all requests of one scope while it lives."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._known: dict[tuple[str, Credentials], Challenge] = {}
        self._tokens: dict[_Key, _Kept] = {}
        self._locks: dict[tuple[str, Credentials], asyncio.Lock] = {}

    async def header(self, command: Command) -> str:
        """The `Authorization` for a request, as far as its registry has said before what it wants."""
        challenge = self._known.get((origin(command.url), command.login))
        return await self._answer(command, challenge) if challenge else ""

    async def challenged(self, command: Command, headers: tuple[str, ...]) -> str:
        """The same after a 401. "": there is nothing to answer; raises `Unknown` for what cannot be answered."""
        offered = auth.challenges(headers)
        chosen = next((each for scheme in ("bearer", "basic") for each in offered if each.scheme == scheme), None)
        if chosen is None:
            return ""
        self._known[origin(command.url), command.login] = chosen
        self._tokens.pop(self._key(command, chosen), None)
        return await self._answer(command, chosen)

    def identity_token(self, command: Command) -> str:
        """What a token service gave for these credentials, for who asked for it."""
        challenge = self._known.get((origin(command.url), command.login))
        kept = self._tokens.get(self._key(command, challenge)) if challenge and command.offline else None
        return kept.identity_token if kept else ""

    def _key(self, command: Command, challenge: Challenge) -> _Key:
        parameters = challenge.parameters
        scopes = command.scopes or (parameters.get("scope", ""),)
        return parameters.get("realm", ""), parameters.get("service", ""), scopes, command.login, command.offline

    async def _answer(self, command: Command, challenge: Challenge) -> str:
        if command.login.registry_token:
            return f"Bearer {command.login.registry_token}"
        if challenge.scheme == "basic":
            if not basic(command.login):
                raise Unknown("no basic auth credentials")
            return basic(command.login)
        async with self._locks.setdefault((origin(command.url), command.login), asyncio.Lock()):
            return f"Bearer {await self._token(command, challenge)}"

    async def _token(self, command: Command, challenge: Challenge) -> str:
        now, key = asyncio.get_running_loop().time(), self._key(command, challenge)
        kept = self._tokens.get(key)
        if kept is not None and now < kept.until:
            return kept.value
        self._check_realm(command, challenge)
        token = auth.token(await self._ask(command, challenge))
        self._tokens[key] = _Kept(token.value, now + token.seconds, token.refresh)
        return token.value

    @staticmethod
    def _check_realm(command: Command, challenge: Challenge) -> None:
        """Secrets that came for a verified registry do not go out in the clear."""
        secret = basic(command.login) or command.login.identity_token
        realm = auth.realm(challenge)
        clear = urlsplit(realm).scheme != "https" and urlsplit(command.url).scheme == "https"
        if secret and clear and command.trust.verified:
            raise Unknown(f"the token service {realm[:200]} is not reached by https")

    async def _ask(self, command: Command, challenge: Challenge) -> bytes:
        login = command.login
        if login.identity_token:
            form = urlencode(auth.token_form(challenge, command.scopes, login.identity_token)).encode()
            asked = self._to_service(command, "POST", auth.realm(challenge), FORM)
            return await self._fetch(asked, form)
        headers = {"Authorization": basic(login)} if basic(login) else {}
        url = auth.token_url(challenge, command.scopes, login, command.offline)
        return await self._fetch(self._to_service(command, "GET", url, headers), None)

    @staticmethod
    def _to_service(command: Command, method: str, url: str, headers: dict[str, str]) -> Command:
        return msgspec.structs.replace(command, method=method, url=url, headers=headers, login=Credentials(), scopes=())


def origin(url: str) -> str:
    """Scheme, host and port: what credentials are for."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
