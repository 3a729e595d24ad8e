"""Bridges and veth ends on the host: one netlink socket for all of them."""

from __future__ import annotations

import errno
import ipaddress
import secrets
import socket

from shared.errors import InvalidArgument

from ..domain.addresses import Address, Interface, Subnet
from ..domain.drivers import HostLink, Wire
from . import rtnetlink, sysctl
from .netlink import Netlink

LINK_LOCAL_ROUTER = ipaddress.IPv6Interface("fe80::1/64")
"""What dockerd also calls its bridges of IPv6."""
DYING = 0x73686C
"""Link group of veth ends whose sandbox was released: they are deleted together."""


class HostLinks:
    """The interfaces of the network namespace in which this was made. Methods wait for the kernel: call in a thread."""

    def __init__(self) -> None:
        self._netlink = Netlink()
        self._indexes: dict[str, int] = {}

    def close(self) -> None:
        self._netlink.close()

    def names(self) -> frozenset[str]:
        return frozenset(link.name for link in self._netlink.links())

    def marked(self) -> dict[str, str]:
        """Name to alias of the interfaces that have one."""
        return {link.name: link.alias for link in self._netlink.links() if link.alias}

    def mtu_at(self, address: Address) -> int:
        """Bytes in a packet of the interface that has the address; 0: none has it."""
        bodies = self._netlink.dump(rtnetlink.all_addresses())
        index = next((at for at, own in map(rtnetlink.parse_address, bodies) if own.ip == address), 0)
        return next((link.mtu for link in self._netlink.links() if link.index == index), 0)

    def routes(self) -> list[Subnet]:
        """Destinations of the host's routes, but for default routes."""
        found: list[Subnet] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            bodies = self._netlink.dump(rtnetlink.all_routes(family))
            found += [route for route in map(rtnetlink.parse_route, bodies) if route is not None and route.prefixlen]
        return found

    def ensure(self, wanted: HostLink, *, own: bool = True) -> None:
        """The interface is there and up, with its addresses. One of our `own` has no others and is put right."""
        link = self._netlink.link(wanted.name)
        if link is None:
            self._make(wanted)
            link = self._netlink.link(wanted.name)
        if link is None:
            raise OSError(errno.ENODEV, f"interface {wanted.name} does not exist")
        if wanted.kind == "bridge":
            if link.kind != "bridge":
                raise InvalidArgument(f"existing interface {wanted.name} is not a bridge")
            self._configure(link.index, wanted, own=own)
        elif wanted.kind:
            self._netlink.request(rtnetlink.set_link(link.index, up=True))
        self._indexes[wanted.name] = link.index

    def _make(self, wanted: HostLink) -> None:
        """Made and marked in one go, so that it is ours also after a crash."""
        mark = [rtnetlink.set_alias(wanted.name, wanted.mark)] if wanted.mark else []
        if wanted.kind == "bridge":
            mac = f"02:42:{secrets.token_hex(4)}"
            self._netlink.request(rtnetlink.new_bridge(wanted.name, mac, wanted.mtu), *mark)
        elif wanted.kind == "vlan":
            under = self._index(wanted.under)
            try:
                self._netlink.request(rtnetlink.new_vlan(wanted.name, under, wanted.vlan), *mark)
            except OSError as error:
                raise OSError(error.errno, f"failed to create {wanted.name} vlan link: {error.strerror}") from None
        elif wanted.kind == "dummy":
            try:
                self._netlink.request(rtnetlink.new_dummy(wanted.name), *mark)
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:
                    raise
                # where the kernel has no dummy links, a bridge without ports is as good a parent
                self._netlink.request(rtnetlink.new_bridge(wanted.name, "", 0), *mark)
                sysctl.write(f"ipv6/conf/{wanted.name}/disable_ipv6", "1")

    def _configure(self, index: int, wanted: HostLink, *, own: bool) -> None:
        sysctl.configure_bridge(wanted.name, ipv6=wanted.ipv6)
        addresses = [*wanted.addresses, *([LINK_LOCAL_ROUTER] if wanted.ipv6 else [])]
        present = self._addresses(index)
        for old in present if own else ():
            if old not in addresses and not old.ip.is_link_local:
                self._netlink.request(rtnetlink.delete_address(index, old))
        new = [rtnetlink.new_address(index, address) for address in addresses if address not in present]
        self._netlink.request(*new, rtnetlink.set_link(index, up=True))

    def _addresses(self, index: int) -> list[Interface]:
        found = (rtnetlink.parse_address(body) for body in self._netlink.dump(rtnetlink.all_addresses()))
        return [address for owner, address in found if owner == index]

    def _index(self, name: str) -> int:
        if name not in self._indexes:
            link = self._netlink.link(name)
            if link is None:
                raise OSError(errno.ENODEV, f"interface {name} does not exist")
            self._indexes[name] = link.index
        return self._indexes[name]

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

    def attach(self, index: int, bridge: str, mtu: int = 0, *, isolated: bool = False) -> None:
        """Makes an interface a port of the bridge; an `isolated` one reaches no other isolated port of it."""
        joined = rtnetlink.set_link(index, master=self._index(bridge), mtu=mtu)
        try:
            self._netlink.request(joined, rtnetlink.bridge_port(index, isolated=isolated))
        except OSError:
            self._indexes.pop(bridge, None)  # it may have been made anew under another index
            raise

    def detach(self, name: str) -> None:
        """Makes an interface the port of no bridge; what the bridge learnt of it is forgotten. None there is fine."""
        link = self._netlink.link(name)
        if link is not None:
            self._netlink.request(rtnetlink.set_link(link.index, master=0))

    def index(self, name: str) -> int:
        """An interface's index. Raises `OSError`."""
        link = self._netlink.link(name)
        if link is None:
            raise OSError(errno.ENODEV, f"interface {name} does not exist")
        return link.index

    def add_stacked(self, wire: Wire, name: str, namespace: int, mac: str, mtu: int) -> None:
        """A macvlan or ipvlan interface on top of the wire's master, inside the namespace."""
        try:
            self._netlink.request(rtnetlink.new_stacked(wire, self._index(wire.master), name, namespace, mac, mtu))
        except OSError as error:
            self._indexes.pop(wire.master, None)
            raise OSError(error.errno, f"failed to create the {wire.kind} port: {error.strerror}") from None

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
