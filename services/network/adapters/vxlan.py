"""The driver `overlay`: VXLAN interfaces (RFC 7348) that flood nothing, since they are told who is where.

It does what a driver of the contract `network_driver` does, in this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
from collections.abc import Iterable
from typing import Protocol

from shared import telemetry
from shared.contracts.base import Empty
from shared.contracts.network_driver import CheckRequest, JoinRequest, LeaveRequest, PeersRequest
from shared.errors import FailedPrecondition, NotImplementedYet

from ..domain import options, peers
from ..domain.addresses import Address
from ..domain.peers import Entries
from . import rtneigh, rtnetlink, sysctl
from .netlink import Netlink
from .rtnetlink import Message
from .tunnel import CARRIED

PORT = 4789
"""The UDP port that IANA gave to VXLAN."""
PATIENCE = 3.0
"""Seconds for which a new peer is not told of while there are no keys for it: what is sent before is lost."""
VNI_LIST = "com.docker.network.driver.overlay.vxlanid_list"


class Secrecy(Protocol):
    """Whoever sees to it that packets to `tunnel.CARRIED` are encrypted: `services.network.protection`."""

    async def open(self) -> None: ...

    def peers(self, addresses: set[str]) -> None: ...

    async def agreed(self, address: str) -> None: ...

    async def end(self) -> None: ...

    async def sweep(self) -> None: ...


class VxlanDriver:
    """One VXLAN interface for each network that this host has containers on."""

    def __init__(self, secrecy: Secrecy) -> None:
        self._netlink = Netlink()
        self._secrecy = secrecy
        self._secret: dict[str, set[str]] = {}
        """The other hosts on each encrypted network."""

    def close(self) -> None:
        """The interfaces stay."""
        self._netlink.close()

    async def sweep(self) -> None:
        """All networks that this host has are joined: nothing stays that only others would need."""
        if not self._secret:
            await self._secrecy.sweep()

    async def check(self, request: CheckRequest) -> Empty:
        if VNI_LIST in request.options:
            raise NotImplementedYet(f"overlay networks with the option {VNI_LIST} are not supported yet")
        return Empty()

    async def join(self, request: JoinRequest) -> Empty:
        if options.ENCRYPTED in request.options:
            await self._secrecy.open()
            self._secret.setdefault(request.network, set())
        try:
            await asyncio.to_thread(self._join, request)
        except OSError as error:
            raise FailedPrecondition(f"VXLAN interface {request.port} cannot be made: {error.strerror}") from error
        return Empty()

    def _join(self, request: JoinRequest) -> None:
        """An interface that is there stays as it is, with what it knows, if it is as asked for."""
        bridge = self._netlink.link(request.bridge)
        if bridge is None:
            raise OSError(errno.ENODEV, f"bridge {request.bridge} does not exist")
        local = ipaddress.ip_address(request.host)
        port = CARRIED if options.ENCRYPTED in request.options else PORT
        mark = f"{request.vni} {local} {port} {request.mtu}"
        present = self._netlink.link(request.port)
        if present is not None and (present.alias, present.master) != (mark, bridge.index):
            self._netlink.request(rtnetlink.delete_link(present.index))
            present = None
        if present is None:
            made = rtnetlink.new_vxlan(request.port, request.vni, local, port, request.mtu, bridge.index)
            self._netlink.request(made, rtnetlink.set_alias(request.port, mark))
            present = self._netlink.link(request.port)
        if present is not None:
            sysctl.write(f"ipv6/conf/{request.port}/addr_gen_mode", "1")  # no address of its own,
            sysctl.write(f"ipv6/conf/{request.port}/disable_ipv6", "0")  # but neighbours of IPv6
            up = rtnetlink.set_link(present.index, up=True)
            self._netlink.request(rtnetlink.uplink_port(present.index), up)

    async def leave(self, request: LeaveRequest) -> Empty:
        await asyncio.to_thread(self._leave, request)
        if self._secret.pop(request.network, None) is not None:
            self._secrecy.peers(set().union(*self._secret.values()))
            if not self._secret:
                await self._secrecy.end()
        return Empty()

    def _leave(self, request: LeaveRequest) -> None:
        link = self._netlink.link(request.port)
        if link is not None:
            self._netlink.request(rtnetlink.delete_link(link.index))

    async def peers(self, request: PeersRequest) -> Empty:
        if request.network in self._secret:
            await self._agree(request.network, {peer.host for peer in request.peers})
        try:
            await asyncio.to_thread(self._tell, request)
        except OSError as error:
            raise FailedPrecondition(f"VXLAN interface {request.port}: {error.strerror}") from error
        return Empty()

    async def _agree(self, network: str, hosts: set[str]) -> None:
        """There are keys for hosts that are new on a network, unless one of them does not answer soon."""
        new, self._secret[network] = hosts - self._secret[network], hosts
        self._secrecy.peers(set().union(*self._secret.values()))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*map(self._secrecy.agreed, new)), PATIENCE)

    def _tell(self, request: PeersRequest) -> None:
        """What the kernel has is compared, not what was told it last: so nothing stale can stay."""
        link = self._netlink.link(request.port)
        if link is None:
            return
        wanted, present = peers.entries(request.peers), self._present(link.index)
        new, old = peers.missing(wanted, present), peers.stale(wanted, present)
        with telemetry.span("vxlan.peers", new=len(new.hosts), old=len(old.hosts)):
            self._each(_added(link.index, new))
            self._each(_removed(link.index, old))

    def _present(self, index: int) -> Entries:
        forwards = (rtneigh.parse_forward(body, index) for body in self._netlink.dump(rtneigh.all_forwards()))
        hosts: dict[str, Address] = dict(filter(None, forwards))
        macs: dict[Address, str] = {}
        for family in (socket.AF_INET, socket.AF_INET6):
            bodies = self._netlink.dump(rtneigh.all_neighbours(family))
            macs |= dict(filter(None, (rtneigh.parse_neighbour(body, index) for body in bodies)))
        return Entries(hosts, macs)

    def _each(self, messages: Iterable[Message]) -> None:
        """What is gone already is fine."""
        for message in messages:
            try:
                self._netlink.request(message)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ESRCH):
                    raise


def _added(index: int, new: Entries) -> Iterable[Message]:
    for mac, host in new.hosts.items():
        yield rtneigh.forward(index, mac, host)
        yield rtneigh.behind_port(index, mac)
    for address, mac in new.macs.items():
        yield rtneigh.neighbour(index, address, mac)


def _removed(index: int, old: Entries) -> Iterable[Message]:
    for address in old.macs:
        yield rtneigh.neighbour_no_more(index, address)
    for mac in old.hosts:
        yield rtneigh.behind_port_no_more(index, mac)
        yield rtneigh.forward_no_more(index, mac)
