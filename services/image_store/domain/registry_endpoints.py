"""Where a registry is: its endpoints in the order in which they are tried (dockerd's rules). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from shared.errors import InvalidArgument
from shared.reference import DEFAULT_DOMAIN, LEGACY_DOMAIN

HUB_HOSTS = (DEFAULT_DOMAIN, LEGACY_DOMAIN)
HUB_REGISTRY = "https://registry-1.docker.io"
HUB_INDEX = f"https://{LEGACY_DOMAIN}"
_ALWAYS_INSECURE = ("127.0.0.0/8", "::1/128")


@dataclass(frozen=True)
class Endpoint:
    """One place: `url` without a path's end slash. `verified`: its certificate must be a trusted one."""

    url: str
    verified: bool = True
    mirror: bool = False

    @property
    def host(self) -> str:
        """`host[:port]`, which also names its folder of certificates."""
        return urlsplit(self.url).netloc


class Registries:
    """The settings `registry_mirrors` and `insecure_registries`; raises `InvalidArgument` for wrong ones."""

    def __init__(self, mirrors: Iterable[str], insecure: Iterable[str]) -> None:
        self._mirrors = tuple(dict.fromkeys(_mirror(each) for each in mirrors))
        self._networks: list[IPv4Network | IPv6Network] = []
        self._hosts: set[str] = set()
        for each in (*insecure, *_ALWAYS_INSECURE):
            self._add_insecure(each)

    def _add_insecure(self, text: str) -> None:
        plain = text.removeprefix("http://").removeprefix("https://")
        if "://" in plain or plain.startswith("-") or plain.endswith("-"):
            raise InvalidArgument(f"insecure_registries: {text!r} is neither host[:port] nor a network")
        try:
            self._networks.append(ip_network(plain, strict=False))
        except ValueError:
            self._hosts.add(plain)

    def endpoints(self, domain: str, addresses: Iterable[str], mirrors: bool) -> tuple[Endpoint, ...]:
        """Places to try: mirrors first where they count, https before http; http only for an insecure registry.

        `addresses` are those of the registry's host, so far as they matter (`needs_addresses`).
        """
        if domain in HUB_HOSTS:
            found = [Endpoint(each, self._verified_mirror(each), True) for each in self._mirrors] if mirrors else []
            return (*found, Endpoint(HUB_REGISTRY))
        if self.is_secure(domain, addresses):
            return (Endpoint(f"https://{domain}"),)
        return Endpoint(f"https://{domain}", False), Endpoint(f"http://{domain}", False)

    def _verified_mirror(self, url: str) -> bool:
        host = urlsplit(url).hostname or ""
        return self.is_secure(urlsplit(url).netloc, (host,) if host != "localhost" else ("127.0.0.1",))

    def needs_addresses(self, domain: str) -> bool:
        """Whether it takes the host's addresses to tell if it is an insecure registry."""
        return domain not in HUB_HOSTS and domain not in self._hosts

    def is_secure(self, domain: str, addresses: Iterable[str]) -> bool:
        """Whether only https with a trusted certificate will do."""
        if domain in self._hosts:
            return False
        return not any(ip_address(each) in network for each in _valid(addresses) for network in self._networks)


def host_of(domain: str) -> str:
    """The host of `host[:port]`."""
    return urlsplit(f"//{domain}").hostname or domain


def _valid(addresses: Iterable[str]) -> Iterable[str]:
    for each in addresses:
        try:
            ip_address(each)
        except ValueError:
            continue
        yield each


def _mirror(text: str) -> str:
    """dockerd's `ValidateMirror`."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidArgument(f"registry_mirrors: invalid mirror: {text!r} is no http or https URL")
    if parts.query or parts.fragment:
        raise InvalidArgument(f"registry_mirrors: invalid mirror: query or fragment at end of the URI {text!r}")
    if parts.username is not None:
        raise InvalidArgument("registry_mirrors: invalid mirror: username/password not allowed in URI")
    return text.rstrip("/")
