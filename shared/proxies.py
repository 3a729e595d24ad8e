"""Which proxy a request goes through, by the settings or the environment's HTTP_PROXY, HTTPS_PROXY and NO_PROXY.

The rules are those of Go's `http.ProxyFromEnvironment`, which dockerd follows.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit, urlunsplit

import msgspec

from shared.config import Settings

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_PORTS = {"http": 80, "https": 443}


class Proxies(msgspec.Struct, frozen=True):
    """Addresses of the proxies for each scheme, and the hosts that are reached without one."""

    http: str = ""
    https: str = ""
    without: str = ""

    def choose(self, url: str) -> str:
        """The proxy's address for a URL; "" for none."""
        parts = urlsplit(url)
        proxy = self.https if parts.scheme == "https" else self.http
        host = (parts.hostname or "").rstrip(".")
        if not proxy or not host or _is_local(host):
            return ""
        port = parts.port or _PORTS.get(parts.scheme, 0)
        if any(_excludes(rule.strip().lower(), host, port) for rule in self.without.split(",")):
            return ""
        return proxy if "://" in proxy else f"http://{proxy}"


def from_environment(environment: Mapping[str, str]) -> Proxies:
    """The proxies an environment names; the variables may be in small letters."""
    http, https, without = (environment.get(name) or environment.get(name.lower()) or "" for name in NAMES)
    return Proxies(http, https, without)


def put_into(environment: MutableMapping[str, str], settings: Settings) -> None:
    """What the settings say goes before the environment, for this process and those that it starts."""
    for name, value in zip(NAMES, (settings.http_proxy, settings.https_proxy, settings.no_proxy), strict=True):
        if value:
            environment[name] = environment[name.lower()] = value


def masked(proxy: str) -> str:
    """A proxy's address as everybody may see it."""
    try:
        parts = urlsplit(proxy)
    except ValueError:
        return proxy
    _, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"xxxxx:xxxxx@{host}")) if at else proxy


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _excludes(rule: str, host: str, port: int) -> bool:
    if not rule:
        return False
    if rule == "*":
        return True
    try:
        return ip_address(host) in ip_network(rule, strict=False)
    except ValueError:
        pass
    name, colon, wanted = rule.rpartition(":")
    if colon and wanted.isdigit():
        if int(wanted) != port:
            return False
        rule = name
    if rule.startswith("*."):
        rule = rule[1:]
    if rule.startswith("."):
        return host.endswith(rule)
    return host == rule.strip("[]") or host.endswith(f".{rule}")
