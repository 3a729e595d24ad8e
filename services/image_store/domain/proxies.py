"""Which proxy a request goes through, by the environment's HTTP_PROXY, HTTPS_PROXY and NO_PROXY. Pure.

The rules are those of Go's `http.ProxyFromEnvironment`, which dockerd follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

import msgspec

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
