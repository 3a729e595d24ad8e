"""Which of the client's credentials are for an image's registry (Docker's `ResolveAuthConfig`)."""

from __future__ import annotations

from collections.abc import Mapping

from shared.contracts.image_store import Credentials
from shared.reference import DEFAULT_DOMAIN, split_domain

HUB_KEY = "https://index.docker.io/v1/"


def credentials(known: Mapping[str, Credentials], reference: str) -> Credentials:
    """None at all where the client has none for it. Keys may be URLs."""
    host, _ = split_domain(reference)
    if host == DEFAULT_DOMAIN:
        return known.get(HUB_KEY, Credentials())
    if host in known:
        return known[host]
    return next((value for key, value in known.items() if _host(key) == host), Credentials())


def _host(key: str) -> str:
    return key.removeprefix("http://").removeprefix("https://").partition("/")[0]
