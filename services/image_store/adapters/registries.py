"""The way to all registries: settings, certificates, and one client for them."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from shared.config import Settings
from shared.contracts.image_store import Credentials
from shared.reference import DEFAULT_DOMAIN

from ..domain.registry_endpoints import HUB_INDEX, Endpoint, Registries, host_of
from .registry_client import RegistryClient
from .registry_index import search
from .registry_remote import Remote
from .registry_trust import trust_of


class HttpRegistry:
    """See `ports.Registry`. Raises `InvalidArgument` for settings that make no sense."""

    def __init__(self, settings: Settings) -> None:
        self._rules = Registries(settings.registry_mirrors, settings.insecure_registries)
        self._certificates = Path(settings.registry_certs_dir)
        self._patience = float(settings.registry_timeout)
        self._client = RegistryClient()

    async def repositories(
        self, domain: str, path: str, login: Credentials, actions: tuple[str, ...] = ("pull",)
    ) -> tuple[Remote, ...]:
        addresses = await _addresses(host_of(domain)) if self._rules.needs_addresses(domain) else ()
        found = self._rules.endpoints(domain, addresses, mirrors=actions == ("pull",))
        return tuple([await self._remote(each, path, login, actions) for each in found])

    async def _remote(self, endpoint: Endpoint, path: str, login: Credentials, actions: tuple[str, ...]) -> Remote:
        trust = await asyncio.to_thread(trust_of, self._certificates, endpoint.host, endpoint.verified)
        own = Credentials() if endpoint.mirror else login
        return Remote(self._client, endpoint, path, own, trust, self._patience, actions)

    async def search(self, domain: str, term: str, limit: int, login: Credentials) -> bytes:
        if domain == DEFAULT_DOMAIN:
            return await search([await self._remote(Endpoint(HUB_INDEX), "", login, ())], term, limit, known=True)
        return await search(await self.repositories(domain, "", login, ()), term, limit, known=False)

    async def close(self) -> None:
        await self._client.close()


async def _addresses(host: str) -> tuple[str, ...]:
    """None for a host without any: then it matches no network."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # no name of the domain name system, either
        return ()
    return tuple(str(address[0]) for *_, address in found)
