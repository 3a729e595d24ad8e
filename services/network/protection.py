"""Keys of encrypted networks: agreed on with each peer, replaced in time, gone with the peer.

Between two hosts there is one key for each direction, whatever networks they share. The sender asks; the receiver
can open before it answers; the sender changes over when it has the answer. So no packet is lost when keys change.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from shared import clock, cluster
from shared.contracts.network import AgreeReply, AgreeRequest
from shared.errors import FailedPrecondition, ShoalError, Unauthenticated
from shared.tasks import TaskGroup

from .domain import agreement
from .domain.agreement import Half

if TYPE_CHECKING:  # the library costs 10 MB, and is needed where there are encrypted networks
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

log = logging.getLogger(__name__)

LIFETIME = 12 * 3600.0
"""Seconds after which keys are replaced, as libnetwork does."""
RETRY = 0.2
"""Seconds until a peer that gave no keys is asked again; doubled each time, up to `LONGEST_RETRY`."""
LONGEST_RETRY = 30.0


class Keyring(Protocol):
    """Whoever seals and opens: the kernel (`adapters.esp.Esp`), or a process (`adapters.tunnel.Tunnel`)."""

    means: str
    whole: bool
    lost: Callable[[], object]
    worn: Callable[[str], object]

    async def open(self) -> bool: ...
    async def end(self) -> None: ...
    def close(self) -> None: ...
    async def receive(self, peer: str, spi: int, material: bytes) -> None: ...
    async def send(self, peer: str, spi: int, material: bytes, *, whole: bool) -> None: ...
    async def forget(self, peer: str) -> None: ...


@dataclass(frozen=True)
class Identity:
    """This host's certificate and key, and the cluster's authority, all PEM."""

    certificate: bytes
    key: bytes
    authority: bytes

    @classmethod
    def of(cls, state_path: Path) -> Identity:
        """As they are now: they are renewed. Raises `FailedPrecondition` outside a cluster."""
        folder = cluster.folder(state_path)
        try:
            return cls(*((folder / name).read_bytes() for name in ("node.crt", "node.key", "ca.crt")))
        except FileNotFoundError:
            raise FailedPrecondition("this host is in no cluster") from None


Ask = Callable[[str, AgreeRequest], Awaitable[AgreeReply]]


class Protection:
    """Belongs to one event loop. `keyring` chooses by what means this host encrypts, when that is first needed.

    `hosts`: the cluster's hosts as this one knows them, with their addresses. `marker` is a file that is there while
    something on the host may be of encrypted networks.
    """

    def __init__(
        self,
        node: str,
        keyring: Callable[[], Keyring],
        identity: Callable[[], Identity],
        hosts: Callable[[], Mapping[str, str]],
        ask: Ask,
        tasks: TaskGroup,
        marker: Path,
    ) -> None:
        self._marker = marker
        self._node, self._choose, self._identity, self._hosts, self._ask = node, keyring, identity, hosts, ask
        self._keyring: Keyring = _NONE
        self._tasks = tasks
        self._open = False
        self._opening = asyncio.Lock()
        self._fresh = True
        self._again: set[str] = set()
        """Peers to be told that this host has lost the keys that it had: they agree anew, too."""
        self._running: dict[str, asyncio.Task[None]] = {}
        self._due: dict[str, asyncio.Event] = {}
        self._agreed: dict[str, asyncio.Event] = {}

    async def open(self) -> None:
        """From now on packets of encrypted networks go encrypted or not at all. Raises `FailedPrecondition`."""
        async with self._opening:
            if not self._open:
                if self._keyring is _NONE:
                    self._keyring = await asyncio.to_thread(self._choose)
                self._keyring.lost, self._keyring.worn = self._on_loss, self._on_worn
                self._marker.parent.mkdir(parents=True, exist_ok=True)
                self._marker.touch()
                self._fresh = not await self._keyring.open()
                self._again = set(self._running) if self._fresh else set()
                self._open = True

    async def end(self) -> None:
        """No encrypted network is here any more."""
        self.peers(set())
        async with self._opening:
            if self._open:
                self._open = False
                await self._keyring.end()
                self._marker.unlink(missing_ok=True)

    async def sweep(self) -> None:
        """No encrypted network is here: what a service left that was ended while it left the last one is taken away."""
        if not self._open and self._marker.exists():
            try:
                await self.open()
                await self.end()
            except FailedPrecondition as error:
                log.warning("what is left of encrypted networks stays: %s", error)

    def close(self) -> None:
        """What has keys goes on with them."""
        for task in self._running.values():
            task.cancel()
        self._keyring.close()

    def peers(self, addresses: set[str]) -> None:
        """The hosts with which this one shares encrypted networks, all of them, by their addresses."""
        for address in addresses - self._running.keys():
            if self._fresh:
                self._again.add(address)
            self._due[address], self._agreed[address] = asyncio.Event(), asyncio.Event()
            self._running[address] = self._tasks.start(self._keep(address), "keys")
        for address in self._running.keys() - addresses:
            self._running.pop(address).cancel()
            del self._due[address], self._agreed[address]
            self._tasks.start(self._forget(address), "forget")

    async def agreed(self, address: str) -> None:
        """Returns when there are keys for what goes to the peer."""
        await self._agreed[address].wait()

    def renew(self) -> None:
        """All keys are replaced now."""
        for due in self._due.values():
            due.set()

    async def agree(self, request: AgreeRequest) -> AgreeReply:
        """Another host has asked for keys under which it may send to this one."""
        address = self._hosts().get(request.node, "")
        if not address:
            raise Unauthenticated(f"{request.node} is no host of this cluster")
        identity = self._identity()
        more = _flags(request.means, request.whole, request.again)
        theirs = Half(request.node, self._node, request.public, more)
        agreement.check(theirs, request.signature, request.certificate.encode(), identity.authority, clock.now_ns())
        if not self._open:
            raise FailedPrecondition("no encrypted network is here")
        if request.means != self._keyring.means:
            raise FailedPrecondition(f"this host encrypts by {self._keyring.means}, the other by {request.means}")
        private = _ephemeral()
        spi = agreement.LOWEST_SPI + secrets.randbelow((1 << 32) - agreement.LOWEST_SPI)
        more = spi.to_bytes(4) + _flags(self._keyring.means, self._keyring.whole, False) + request.public
        ours = Half(self._node, request.node, agreement.public_of(private), more)
        await self._keyring.receive(address, spi, agreement.material(private, request.public, theirs, ours))
        if request.again and address in self._due:
            self._due[address].set()
        return AgreeReply(
            public=ours.public,
            spi=spi,
            whole=self._keyring.whole,
            certificate=identity.certificate.decode(),
            signature=agreement.sign(ours, identity.key),
        )

    async def _keep(self, address: str) -> None:
        """Keeps keys for what goes to one peer, until cancelled."""
        pause = RETRY
        while True:
            due = self._due[address]
            due.clear()
            try:
                await self.open()
                await self._agree_with(address, address in self._again)
                self._again.discard(address)
                pause = RETRY
                self._agreed[address].set()
            except ShoalError as error:
                log.warning("no new keys are agreed on with host %s: %s", address, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_RETRY)
                continue
            try:
                await asyncio.wait_for(due.wait(), LIFETIME)
            except TimeoutError:
                continue

    async def _agree_with(self, address: str, again: bool) -> None:
        node = next((node for node, known in self._hosts().items() if known == address), "")
        if not node:
            raise FailedPrecondition(f"no host of this cluster has the address {address}")
        identity, private = self._identity(), _ephemeral()
        more = _flags(self._keyring.means, self._keyring.whole, again)
        ours = Half(self._node, node, agreement.public_of(private), more)
        request = AgreeRequest(
            node=self._node,
            public=ours.public,
            means=self._keyring.means,
            whole=self._keyring.whole,
            again=again,
            certificate=identity.certificate.decode(),
            signature=agreement.sign(ours, identity.key),
        )
        reply = await self._ask(node, request)
        signed = reply.spi.to_bytes(4) + _flags(self._keyring.means, reply.whole, False) + ours.public
        theirs = Half(node, self._node, reply.public, signed)
        agreement.check(theirs, reply.signature, reply.certificate.encode(), identity.authority, clock.now_ns())
        material = agreement.material(private, reply.public, ours, theirs)
        await self._keyring.send(address, reply.spi, material, whole=reply.whole)

    async def _forget(self, address: str) -> None:
        try:
            await self._keyring.forget(address)
        except ShoalError as error:
            log.info("keys of host %s: %s", address, error)

    def _on_worn(self, address: str) -> None:
        if address in self._due:
            self._due[address].set()

    def _on_loss(self) -> None:
        """The process with the keys is gone: another takes its place, and all are agreed on again, both ways."""
        self._open, self._fresh = False, True
        self.renew()


def _flags(means: str, whole: bool, again: bool) -> bytes:
    return bytes([whole, again]) + means.encode()


class _None:
    """Of a host that has had no encrypted network yet."""

    means, whole = "", False
    lost: Callable[[], object] = staticmethod(lambda: None)
    worn: Callable[[str], object] = staticmethod(lambda peer: None)

    async def open(self) -> bool:
        raise AssertionError

    async def end(self) -> None:
        return

    def close(self) -> None:
        return

    async def receive(self, peer: str, spi: int, material: bytes) -> None:
        raise AssertionError

    async def send(self, peer: str, spi: int, material: bytes, *, whole: bool) -> None:
        raise AssertionError

    async def forget(self, peer: str) -> None:
        return


_NONE = _None()


def _ephemeral() -> X25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.generate()
