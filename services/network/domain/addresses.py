"""IPAM: addresses of one network's pools, in libnetwork's order (lowest free first), and MAC addresses made of them."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Sequence

from shared.errors import InvalidArgument, PermissionDenied, ResourceExhausted

Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def parse_address(text: str) -> Address:
    """An address without a zone (`%eth0`), which would carry any text. Raises `ValueError`."""
    if "%" in text:
        raise ValueError(f"{text!r} has a zone")
    return ipaddress.ip_address(text)


def parse_cidr(text: str) -> Interface:
    """`10.0.0.0/8`: an address with a prefix length, in digits. Raises `ValueError`."""
    address, _, prefix = text.partition("/")
    if not (prefix.isascii() and prefix.isdigit()):
        raise ValueError(f"{text!r} has no prefix length")
    return ipaddress.ip_interface(f"{parse_address(address)}/{prefix}")


class Exhausted(ResourceExhausted):
    """A pool has no free address."""


class Pool:
    """The addresses of one subnet and who may get which.

    Never given out: the subnet's own address (IPv6: the routers' anycast address), IPv4's broadcast address and what
    was reserved. `scope` is the part of the subnet for addresses that nobody asked for (Docker's `--ip-range`).
    """

    def __init__(self, subnet: Subnet, scope: Subnet | None = None) -> None:
        self.subnet = subnet
        scope = scope or subnet
        self._first, self._last = int(scope.network_address), int(scope.broadcast_address)
        self._used: set[int] = set()
        if subnet.version == 6:
            self._used.add(int(subnet.network_address))
        elif subnet.prefixlen < 31:
            self._used |= {int(subnet.network_address), int(subnet.broadcast_address)}
        self._hint = self._first

    def request(self, wish: Address | None = None) -> Address:
        """The lowest free address, or the wished one. Raises in libnetwork's words."""
        return self._lowest() if wish is None else self._wished(wish)

    def _lowest(self) -> Address:
        number = self._hint
        while number in self._used:
            number += 1
        if number > self._last:
            raise Exhausted("no available addresses on this pool")
        self._used.add(number)
        self._hint = number + 1
        return type(self.subnet.network_address)(number)

    def _wished(self, wish: Address) -> Address:
        if wish not in self.subnet:
            raise InvalidArgument("requested address is out of range")
        if int(wish) in self._used:
            raise PermissionDenied("Address already in use")
        self._used.add(int(wish))
        return wish

    def reserve(self, addresses: Iterable[Address]) -> None:
        """Takes addresses out that are in use already, as found after a restart."""
        self._used.update(int(address) for address in addresses if address in self.subnet)

    def release(self, address: Address) -> None:
        """Gives an address back; it may be given out again at once."""
        number = int(address)
        if address in self.subnet and number in self._used:
            self._used.discard(number)
            if self._first <= number < self._hint:
                self._hint = number

    def __contains__(self, address: Address) -> bool:
        return address in self.subnet and int(address) in self._used


class AddressSpace:
    """The pools of one network: each endpoint gets an address of each family that the network has."""

    def __init__(self, pools: Sequence[Pool] = (), name: str = "", network_id: str = "") -> None:
        self.pools = tuple(pools)
        self._where = f"{name} ({network_id})"

    def has(self, version: int) -> bool:
        """Whether the network gives addresses of that IP version."""
        return any(pool.subnet.version == version for pool in self.pools)

    def request(self, version: int, wish: Address | None = None) -> Interface:
        """An address with its subnet's prefix length: of the first pool that has one, or the wished one."""
        for pool in self._of(version, wish):
            try:
                return _with_prefix(pool.request(wish), pool)
            except Exhausted:
                continue
        if wish is not None:
            raise InvalidArgument(f"invalid address {wish}: It does not belong to any of this network's subnets")
        raise Exhausted(f"no available IPv{version} addresses on this network's address pools: {self._where}")

    def _of(self, version: int, wish: Address | None) -> list[Pool]:
        return [p for p in self.pools if p.subnet.version == version and (wish is None or wish in p.subnet)]

    def reserve(self, addresses: Iterable[Address]) -> None:
        """Takes addresses out that are in use already."""
        addresses = tuple(addresses)
        for pool in self.pools:
            pool.reserve(addresses)

    def release(self, addresses: Iterable[Address]) -> None:
        """Gives addresses back."""
        for address in addresses:
            for pool in self.pools:
                pool.release(address)


def _with_prefix(address: Address, pool: Pool) -> Interface:
    if isinstance(address, ipaddress.IPv4Address):
        return ipaddress.IPv4Interface((address, pool.subnet.prefixlen))
    return ipaddress.IPv6Interface((address, pool.subnet.prefixlen))


def mac_address(address: Address) -> str:
    """Docker's: locally administered 02:42, then the address; the same address has the same MAC again.

    Of an IPv6 address a digest stands for the address.
    """
    four = address.packed if address.version == 4 else hashlib.sha256(address.packed).digest()[:4]
    return "02:42:" + four.hex(":")
