"""Encrypted networks by the kernel's IPsec: ESP in transport mode (RFC 4303, RFC 4106) for VXLAN's port of theirs."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
from collections.abc import Callable, Iterable, Iterator

from shared.errors import FailedPrecondition, ShoalError

from ..domain.addresses import Address
from . import xfrm
from .netlink import Netlink
from .nftables import Nftables
from .rtnetlink import Message
from .tunnel import CARRIED, guards
from .xfrm import Association

REQID = CARRIED
"""What marks associations and policies as ours."""
OVERLAP = 60.0
"""Seconds until it is looked whether a peer uses later keys, so that those before can go."""
HANDOVER = 2.0
"""Seconds for which keys that are not used for new packets any more are there for packets on their way out."""
MOST_BYTES = 1 << 40
"""Sealed under one key; then another is agreed on."""
_MISSING = (errno.EPROTONOSUPPORT, errno.ENOSYS, errno.ENOENT, errno.EOPNOTSUPP, errno.EAFNOSUPPORT)


def available() -> bool:
    """Whether the kernel has ESP with AES-GCM and extended sequence numbers: it is tried."""
    here = ipaddress.ip_address("127.0.0.1")
    try:
        netlink = Netlink(xfrm.NETLINK_XFRM)
    except OSError:
        return False
    try:
        with contextlib.suppress(OSError):
            netlink.request(xfrm.association_no_more(here, 256))
        netlink.request(xfrm.new_association(here, here, 256, os.urandom(36), REQID, MOST_BYTES))
        netlink.request(xfrm.association_no_more(here, 256))
    except OSError as error:
        if error.errno in _MISSING:
            return False
        raise
    finally:
        netlink.close()
    return True


class Esp:
    """Keys in the kernel, which outlive this service. Belongs to one event loop."""

    means = "esp"
    whole = False

    def __init__(self, host: Callable[[], Address], table: str) -> None:
        self._address, self._table = host, table
        self._netlink: Netlink | None = None
        self._worn: socket.socket | None = None
        self.lost: Callable[[], object] = lambda: None
        """Never told: the kernel loses nothing."""
        self.worn: Callable[[str], object] = lambda peer: None
        """Told when the keys for a peer should be replaced."""

    async def open(self) -> bool:
        """Packets of encrypted networks go by ESP or not at all. Whether there are keys of the service before."""
        self._host = self._address()
        try:
            await asyncio.to_thread(_guard, self._table)
            self._netlink = Netlink(xfrm.NETLINK_XFRM)
            self._worn = _expiries()
        except (OSError, ShoalError) as error:
            raise FailedPrecondition(f"encrypted networks do not work on this host: {error}") from None
        asyncio.get_running_loop().add_reader(self._worn.fileno(), self._on_expiry)
        return any(self._ours())

    def close(self) -> None:
        """The kernel goes on with the keys it has."""
        if self._worn is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._worn.fileno())
            self._worn.close()
            self._worn = None
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None

    async def end(self) -> None:
        """No encrypted network is here any more: nothing is left of it."""
        peers = {each.source if each.destination == self._host else each.destination for each in self._ours()}
        for peer in peers:
            await self.forget(str(peer))
        self.close()
        with contextlib.suppress(ShoalError):
            await asyncio.to_thread(Nftables().run, f"delete table inet {guards(self._table)}\n")

    async def receive(self, peer: str, spi: int, material: bytes) -> None:
        """What comes from the peer under this index is opened from now on; under earlier ones too, for a while."""
        source = ipaddress.ip_address(peer)
        self._ask(xfrm.new_association(source, self._host, spi, material, REQID, (1 << 64) - 1))
        asyncio.get_running_loop().call_later(OVERLAP, self._prune, source)

    async def send(self, peer: str, spi: int, material: bytes, *, whole: bool) -> None:
        """What goes to the peer is sealed with these keys from now on: of several the kernel takes the newest."""
        destination = ipaddress.ip_address(peer)
        before = [each for each in self._ours() if each.destination == destination]
        self._ask(
            xfrm.new_association(self._host, destination, spi, material, REQID, MOST_BYTES),
            xfrm.policy(self._host, destination, CARRIED, REQID),
        )
        asyncio.get_running_loop().call_later(HANDOVER, self._drop, before)

    async def forget(self, peer: str) -> None:
        """Nothing goes to the peer or comes from it any more."""
        other = ipaddress.ip_address(peer)
        self._drop(each for each in self._ours() if other in (each.source, each.destination))
        with contextlib.suppress(FailedPrecondition):
            self._ask(xfrm.policy_no_more(self._host, other, CARRIED))

    def _ask(self, *messages: Message) -> None:
        if self._netlink is None:
            raise FailedPrecondition("encrypted networks are not set up")
        try:
            self._netlink.request(*messages)
        except OSError as error:
            raise FailedPrecondition(f"the kernel's IPsec refuses: {error.strerror}") from None

    def _ours(self) -> Iterator[Association]:
        if self._netlink is not None:
            found = map(xfrm.parse_association, self._netlink.dump(xfrm.all_associations()))
            yield from (each for each in found if each.reqid == REQID)

    def _drop(self, associations: Iterable[Association]) -> None:
        for each in list(associations):
            with contextlib.suppress(FailedPrecondition):  # gone already
                self._ask(xfrm.association_no_more(each.destination, each.spi))

    def _prune(self, peer: Address) -> None:
        """Once the peer uses later keys, those before go; while it does not, they are looked at again."""
        known = [each for each in self._ours() if each.source == peer]
        newest = max((each.added for each in known), default=0)
        used = max((each.added for each in known if each.used), default=0)
        self._drop(each for each in known if each.added < used)
        if used < newest:
            asyncio.get_running_loop().call_later(OVERLAP, self._prune, peer)

    def _on_expiry(self) -> None:
        assert self._worn is not None
        data = self._worn.recv(1 << 16)
        if len(data) >= 16 + 216 and int.from_bytes(data[4:6], "little") == xfrm.XFRM_MSG_EXPIRE:
            expired = xfrm.parse_association(data[16:])
            if expired.reqid == REQID:
                self.worn(str(expired.destination))


def _expiries() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    made = socket.socket(socket.AF_NETLINK, kind, xfrm.NETLINK_XFRM)
    made.bind((0, xfrm.XFRMNLGRP_EXPIRE))
    return made


def _guard(table: str) -> None:
    """VXLAN packets of encrypted networks neither leave nor enter but by our associations."""
    name = guards(table)
    Nftables().run(f"""
table inet {name}
delete table inet {name}
table inet {name} {{
	chain out {{
		type filter hook output priority filter; policy accept;
		udp dport {CARRIED} rt ipsec missing drop
	}}
	chain in {{
		type filter hook input priority filter; policy accept;
		udp dport {CARRIED} ipsec in reqid {REQID} accept
		udp dport {CARRIED} drop
	}}
}}
""")
