"""Bridges and veth ends on the host: one netlink socket for all of them."""

from __future__ import annotations

import errno
import ipaddress
import secrets
from pathlib import Path

from . import rtnetlink
from .netlink import Netlink

DYING = 0x73686C
"""Link group of veth ends whose sandbox was released: they are deleted together."""
_SYSCTL = Path("/proc/sys/net")


class HostLinks:
    """The interfaces of the network namespace in which this was made. Methods wait for the kernel: call in a thread."""

    def __init__(self) -> None:
        self._netlink = Netlink()
        self._indexes: dict[str, int] = {}

    def close(self) -> None:
        self._netlink.close()

    def names(self) -> frozenset[str]:
        return frozenset(link.name for link in self._netlink.links())

    def routes(self) -> list[ipaddress.IPv4Network]:
        """Destinations of the host's IPv4 routes, but for default routes."""
        routes = (rtnetlink.parse_route(body) for body in self._netlink.dump(rtnetlink.all_routes()))
        return [route for route in routes if route is not None and route.prefixlen]

    def ensure_bridge(self, name: str, address: ipaddress.IPv4Interface, mtu: int) -> None:
        """A bridge that is up, with that address and no other; an existing one is put right."""
        link = self._netlink.link(name)
        if link is None:
            self._netlink.request(rtnetlink.new_bridge(name, f"02:42:{secrets.token_hex(4)}", mtu))
            link = self._netlink.link(name)
        if link is None or link.kind != "bridge":
            raise OSError(errno.EEXIST, f"{name} is another interface of the host")
        self._indexes[name] = link.index
        for old in self._addresses(link.index):
            if old != address and old.version == 4:
                self._netlink.request(rtnetlink.delete_address(link.index, old))
        self._netlink.request(rtnetlink.new_address(link.index, address), rtnetlink.set_link(link.index, up=True))
        _configure(name)

    def _addresses(self, index: int) -> list[rtnetlink.Interface]:
        found = (rtnetlink.parse_address(body) for body in self._netlink.dump(rtnetlink.all_addresses()))
        return [address for owner, address in found if owner == index]

    def remove(self, name: str) -> None:
        """Deletes an interface; none of that name is fine."""
        self._indexes.pop(name, None)
        self._ignoring_missing(rtnetlink.delete_link(name=name))

    def add_veth(self, name: str, peer: str, namespace: int, mtu: int) -> int:
        """A veth pair with `name` here, up, and `peer` in the namespace, down. Index of the end that is here."""
        self._netlink.request(rtnetlink.new_veth(name, peer, namespace, mtu))
        link = self._netlink.link(name)
        if link is None:
            raise OSError(errno.ENODEV, f"interface {name} went away")
        return link.index

    def attach(self, index: int, bridge: str, mtu: int = 0) -> None:
        """Makes an interface a port of the bridge."""
        if bridge not in self._indexes:
            link = self._netlink.link(bridge)
            if link is None:
                raise OSError(errno.ENOENT, f"bridge {bridge} does not exist")
            self._indexes[bridge] = link.index
        joined = rtnetlink.set_link(index, master=self._indexes[bridge], mtu=mtu)
        try:
            self._netlink.request(joined, rtnetlink.hairpin(index))
        except OSError:
            self._indexes.pop(bridge, None)  # it may have been made anew under another index
            raise

    def cut_off(self, name: str) -> None:
        """No frame passes the port any more, at once; the interface itself goes with `delete_dying`."""
        link = self._netlink.link(name)
        if link is not None:  # in this order: any other change of the link would open its port again
            self._ignoring_missing(rtnetlink.set_link(link.index, group=DYING), rtnetlink.close_port(link.index))

    def delete_dying(self) -> None:
        """Deletes all that was cut off: tens of milliseconds of the kernel's time, however many."""
        self._ignoring_missing(rtnetlink.delete_group(DYING))

    def _ignoring_missing(self, *messages: rtnetlink.Message) -> None:
        try:
            self._netlink.request(*messages)
        except OSError as error:
            if error.errno not in (errno.ENODEV, errno.EOPNOTSUPP):
                raise


def _configure(bridge: str) -> None:
    """As dockerd: no router is believed, no IPv6 address made up; published ports also answer on 127.0.0.1."""
    _write(_SYSCTL / "ipv4/conf" / bridge / "route_localnet", "1")
    _write(_SYSCTL / "ipv6/conf" / bridge / "accept_ra", "0")
    _write(_SYSCTL / "ipv6/conf" / bridge / "disable_ipv6", "1")


def enable_forwarding() -> None:
    """The host routes between containers and others, as dockerd makes it; on already: nothing is written."""
    path = _SYSCTL / "ipv4/ip_forward"
    if path.read_text().strip() != "1":
        path.write_text("1")


def ephemeral_range() -> tuple[int, int]:
    """First and last port that the host gives out by itself."""
    first, last = (_SYSCTL / "ipv4/ip_local_port_range").read_text().split()
    return int(first), int(last)


def has_ipv6() -> bool:
    """Whether the host has IPv6 and has not switched it off."""
    try:
        return (_SYSCTL / "ipv6/conf/all/disable_ipv6").read_text().strip() == "0"
    except FileNotFoundError:
        return False


def _write(path: Path, value: str) -> None:
    try:
        path.write_text(value)
    except FileNotFoundError:
        pass  # the host has no IPv6
