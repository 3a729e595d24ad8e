"""Searching an index by Docker's first registry protocol (`/v1/search`), the only one that ever had a search."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from shared.errors import InvalidArgument

from ..domain.registry_answers import RegistryError
from .registry_remote import Remote

_FORM = ("HTTPS attempt", "HTTP attempt")


async def search(remotes: Sequence[Remote], term: str, limit: int, known: bool) -> bytes:
    """The answer of the first that answers at all. `known`: there is an index at its first place for certain.

    Raises `RegistryError` for a refusal, `InvalidArgument` in dockerd's words when none answers.
    """
    query = urlencode({"q": term, "n": limit})
    attempts: list[str] = []
    for remote in remotes:
        if known or await _answers(remote, attempts):
            return await remote.get(f"{remote.url}/v1/search?{query}")
    place = f"{remotes[-1].url}/v1/" if remotes else "none"
    if len(attempts) > 1:
        told = ". ".join(f"{form}: {text}" for form, text in zip(_FORM, attempts, strict=False))
        raise InvalidArgument(f'invalid registry endpoint "{place}". {told}')
    host = place.split("/")[2]
    raise InvalidArgument(
        f"invalid registry endpoint {place}: {''.join(attempts)}. If this private registry supports only HTTP or HTTPS "
        f"with an unknown CA certificate, add {host!r} to insecure_registries. In the case of HTTPS, if you have "
        f"access to the registry's CA certificate, simply place it at <registry_certs_dir>/{host}/ca.crt"
    )


async def _answers(remote: Remote, attempts: list[str]) -> bool:
    try:
        await remote.get(f"{remote.url}/v1/_ping")
    except RegistryError as error:
        if not error.status:
            attempts.append(error.message)
            return False
    return True
