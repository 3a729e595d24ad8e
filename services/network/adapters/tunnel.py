"""The service's side of the encrypted tunnel (`services/network/tunnel`), and what leads packets there on the host."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import fcntl
import ipaddress
import logging
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from shared.errors import FailedPrecondition, ShoalError

from ..domain.addresses import Address
from ..tunnel import messages
from ..tunnel.messages import Message
from . import rtrules, sysctl
from .netlink import Netlink
from .nftables import Nftables
from .rtnetlink import all_addresses, new_address, parse_address, set_link

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[3]
PORT = 4791
"""The tunnel's own UDP port."""
CARRIED = 4790
"""The port that VXLAN of encrypted networks uses: what is sent there goes through the tunnel or not at all."""
SIOCGIFMTU = 0x8921
TABLE, PRIORITY = 47900, 4790
MAC, LONGEST = "02:00:00:00:00:01", 65000
"""Both ends have the same MAC: frames of one are for the other."""
PATIENCE = 10.0
"""Seconds the tunnel may take for what it does in microseconds; it may have to be started on a busy host first."""


class Tunnel:
    """One process, which goes on without this service. Belongs to one event loop."""

    means = "tunnel"

    def __init__(self, folder: Path, device: str, host: Callable[[], Address], table: str) -> None:
        self._folder, self._device, self._address, self._table = folder, device, host, table
        self._path = folder / "tunnel.sock"
        self._connection: socket.socket | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._number = 0
        self.whole = False
        """Whether packets may come unsegmented."""
        self.lost: Callable[[], object] = lambda: None
        """Told when the process died: all keys are gone."""
        self.worn: Callable[[str], object] = lambda peer: None
        """Told when the keys for a peer should be replaced."""

    async def open(self) -> bool:
        """Packets of encrypted networks are led to the tunnel, which runs. Whether it ran before, with its keys.

        From the first moment on such packets are sent by no other way. Raises `FailedPrecondition`.
        """
        self._host = self._address()
        await asyncio.to_thread(_guard, self._table, self._device)
        found = self._take_over()
        try:
            if not found:
                self._start()
            assert self._ready is not None
            await asyncio.wait_for(self._ready, PATIENCE)
            await asyncio.to_thread(self._lead)
        except (OSError, TimeoutError) as error:
            raise FailedPrecondition(f"encrypted networks do not work on this host: {error}") from None
        return found

    def close(self) -> None:
        """The tunnel goes on with the keys it has."""
        self._part()

    async def end(self) -> None:
        """No encrypted network is here any more: nothing is left of the tunnel on the host, soon."""
        with contextlib.suppress(FailedPrecondition):
            await self._ask(Message(messages.FORGET))
        child, self._child = self._child, None
        self._part()
        await asyncio.to_thread(_remove, self._table, self._host, child)

    async def receive(self, peer: str, spi: int, material: bytes) -> None:
        """What comes from the peer under this index is opened from now on; under earlier ones too, for a while."""
        await self._ask(Message(messages.RECEIVE, peer=peer, spi=spi, material=material.hex()))

    async def send(self, peer: str, spi: int, material: bytes, *, whole: bool) -> None:
        """What goes to the peer is sealed with these keys from now on."""
        await self._ask(Message(messages.SEND, peer=peer, spi=spi, material=material.hex(), whole=whole))

    async def forget(self, peer: str) -> None:
        """Nothing goes to the peer or comes from it any more."""
        await self._ask(Message(messages.FORGET, peer=peer))

    async def _ask(self, message: Message) -> None:
        if self._connection is None:
            raise FailedPrecondition("the tunnel of encrypted networks does not run")
        self._number += 1
        numbered = dataclasses.replace(message, number=self._number)
        answer = self._waiting[numbered.number] = asyncio.get_running_loop().create_future()
        try:
            self._connection.send(numbered.encode())
            await asyncio.wait_for(answer, PATIENCE)
        except (OSError, TimeoutError) as error:
            raise FailedPrecondition(f"the tunnel of encrypted networks does not answer: {error}") from None
        finally:
            self._waiting.pop(numbered.number, None)

    def _take_over(self) -> bool:
        connection = _packets()
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            return False
        self._listen(connection)
        return True

    def _start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with _packets() as listener, theirs:
            listener.bind(str(self._path))
            self._path.chmod(0o600)
            listener.listen(1)
            module = f"{__package__.rpartition('.')[0]}.tunnel"
            numbers = (PORT, CARRIED, _mtu(self._host), listener.fileno(), theirs.fileno())
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", module, self._device, str(self._host), *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                pass_fds=(listener.fileno(), theirs.fileno()),
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                start_new_session=True,
            )
        self._listen(ours)

    def _listen(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        loop = asyncio.get_running_loop()
        self._connection, self._ready = connection, loop.create_future()
        loop.add_reader(connection.fileno(), self._on_word)

    def _part(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._connection.fileno())
            self._connection.close()
            self._connection = None

    def _on_word(self) -> None:
        assert self._connection is not None
        assert self._ready is not None
        try:
            data = self._connection.recv(messages.LONGEST)
        except OSError:
            data = b""
        if not data:
            self._on_end()
            return
        message = messages.decode(data)
        if message.verb == messages.READY:
            self.whole = message.whole
            self._ready.set_result(None)
        elif message.verb == messages.WORN:
            self.worn(message.peer)
        elif message.verb == messages.FAILED and not self._ready.done():
            self._ready.set_exception(OSError(message.text))
        elif (answer := self._waiting.get(message.number)) is not None and not answer.done():
            answer.set_result(None) if message.verb == messages.DONE else answer.set_exception(OSError(message.text))

    def _on_end(self) -> None:
        was_ready = self._ready is not None and self._ready.done() and self._ready.exception() is None
        self._part()
        if self._child is not None:
            self._child.wait()
            self._child = None
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(OSError("the tunnel ended"))
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(OSError("the tunnel ended"))
        if was_ready:
            log.warning("the tunnel of encrypted networks ended; another takes its place")
            self.lost()

    def _lead(self) -> None:
        """Runs in a thread. What is so already stays."""
        netlink = Netlink()
        try:
            version, name = self._host.version, self._device
            netlink.request(set_link(name=name, mac=MAC, mtu=LONGEST))
            netlink.request(rtrules.without_neighbours(name))
            link = netlink.link(name)
            if link is None:
                raise OSError(errno.ENODEV, f"interface {name} is gone")
            # the reverse path of what comes out of the tunnel leads elsewhere: loose, which takes an address (RFC 3704)
            sysctl.write(f"ipv4/conf/{name}/rp_filter", "2")
            netlink.request(new_address(link.index, ipaddress.ip_interface(self._host)))
            netlink.request(rtrules.default_by(version, TABLE, link.index))
            with contextlib.suppress(FileExistsError):
                netlink.request(rtrules.port_rule(version, CARRIED, TABLE, PRIORITY))
        finally:
            netlink.close()


def _remove(table: str, host: Address, child: subprocess.Popen[bytes] | None) -> None:
    """Takes away what `Tunnel.open` set up on the host; the device goes with the process. Runs in a thread."""
    if child is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(PATIENCE)
    netlink = Netlink()
    try:
        with contextlib.suppress(FileNotFoundError):
            netlink.request(rtrules.rule_no_more(rtrules.port_rule(host.version, CARRIED, TABLE, PRIORITY)))
        with contextlib.suppress(ShoalError):
            Nftables().run(f"delete table inet {guards(table)}\n")
    finally:
        netlink.close()


def guards(table: str) -> str:
    """The nftables table that keeps packets of encrypted networks from going any other way."""
    return f"{table}_encrypted"


def _guard(table: str, device: str) -> None:
    """VXLAN packets of encrypted networks neither leave nor enter but by the tunnel."""
    name = guards(table)
    rules = f"""
table inet {name}
delete table inet {name}
table inet {name} {{
	chain out {{
		type filter hook output priority filter; policy accept;
		udp dport {CARRIED} oifname != "{device}" drop
	}}
	chain in {{
		type filter hook input priority filter; policy accept;
		udp dport {CARRIED} iifname != "{device}" drop
	}}
}}
"""
    Nftables().run(rules)


def _mtu(host: Address) -> int:
    """The MTU of the interface that has the host's address."""
    netlink = Netlink()
    try:
        for body in netlink.dump(all_addresses()):
            index, address = parse_address(body)
            if address.ip == host:
                return _mtu_of(socket.if_indextoname(index))
    finally:
        netlink.close()
    return 1500


def _mtu_of(name: str) -> int:
    """By netdevice(7); sysfs may be of another network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        answer = fcntl.ioctl(asked, SIOCGIFMTU, struct.pack("=16si20x", name.encode(), 0))
    return int(struct.unpack_from("=16si", answer)[1])


def _packets() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
