"""Which of the client's credentials are for an image's registry (Docker's `ResolveAuthConfig`)."""

from __future__ import annotations

from collections.abc import Mapping

from shared.contracts.image_store import Credentials

HUB = "docker.io"
HUB_KEY = "https://index.docker.io/v1/"


def credentials(known: Mapping[str, Credentials], reference: str) -> Credentials:
    """None at all where the client has none for it. Keys may be URLs."""
    host = registry(reference)
    if host == HUB:
        return known.get(HUB_KEY, Credentials())
    if host in known:
        return known[host]
    return next((value for key, value in known.items() if _host(key) == host), Credentials())


def registry(reference: str) -> str:
    """The first part of a name is a registry when it cannot be a part of a path."""
    first, slash, _ = reference.partition("/")
    is_host = first == "localhost" or "." in first or ":" in first or first.lower() != first
    return first if slash and is_host and first != f"index.{HUB}" else HUB


def _host(key: str) -> str:
    return key.removeprefix("http://").removeprefix("https://").partition("/")[0]
