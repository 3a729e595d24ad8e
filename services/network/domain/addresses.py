"""IPAM: addresses of one pool, in libnetwork's order (lowest free first), and the MAC address made of one."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from shared.errors import Conflict, InvalidArgument, ResourceExhausted

Network4 = ipaddress.IPv4Network
Address4 = ipaddress.IPv4Address


class Pool:
    """The addresses of one subnet and who may get which.

    Never given out: the network's own address, its broadcast address and what was reserved. `scope` is the
    part of the subnet for addresses that nobody asked for (Docker's `--ip-range`).
    """

    def __init__(self, subnet: Network4, scope: Network4 | None = None) -> None:
        self.subnet = subnet
        scope = scope or subnet
        self._first, self._last = int(scope.network_address), int(scope.broadcast_address)
        self._used: set[int] = set()
        if subnet.prefixlen < 31:
            self._used |= {int(subnet.network_address), int(subnet.broadcast_address)}
        self._hint = self._first

    def request(self, wish: Address4 | None = None) -> Address4:
        """The lowest free address, or the wished one. Raises in libnetwork's words."""
        return self._lowest() if wish is None else self._wished(wish)

    def _lowest(self) -> Address4:
        number = self._hint
        while number in self._used:
            number += 1
        if number > self._last:
            raise ResourceExhausted("no available IPv4 addresses on this network's address pools")
        self._used.add(number)
        self._hint = number + 1
        return Address4(number)

    def _wished(self, wish: Address4) -> Address4:
        if wish not in self.subnet:
            raise InvalidArgument(f"Invalid address {wish}: It does not belong to any of this network's subnets")
        if int(wish) in self._used:
            raise Conflict("Address already in use")
        self._used.add(int(wish))
        return wish

    def reserve(self, addresses: Iterable[Address4]) -> None:
        """Takes addresses out that are in use already, as found after a restart."""
        self._used.update(map(int, addresses))

    def release(self, address: Address4) -> None:
        """Gives an address back; it may be given out again at once."""
        number = int(address)
        if address in self.subnet and number in self._used:
            self._used.discard(number)
            if self._first <= number < self._hint:
                self._hint = number

    def __contains__(self, address: Address4) -> bool:
        return int(address) in self._used


def mac_address(address: Address4) -> str:
    """Docker's: locally administered 02:42, then the address; the same address has the same MAC again."""
    return "02:42:" + address.packed.hex(":")
