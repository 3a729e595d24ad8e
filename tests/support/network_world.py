"""The real network service on in-memory twins, on a host of its own, to be killed and started again at will."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from services.network.adapters import namespaces
from services.network.adapters.netlink import Netlink
from services.network.adapters.nftables import Nftables
from services.network.service import NetworkService
from shared import hostmounts, testing
from shared.bus import Bus, MemoryBroker
from shared.config import Settings
from shared.contracts import network
from shared.contracts.base import Empty
from shared.contracts.common import DockerEvent
from shared.contracts.network import Sandbox, SandboxRequest
from shared.state import MemoryState
from tests.support.mounts import unmount_below
from tools.bench.reference import end_all

QUICK = 0.3
"""Seconds after which nobody is taken to answer; an answer takes far less than one of them."""
HOST, NEIGHBOUR = "192.0.2.1", "192.0.2.9"
"""The host's own address on a network beside the containers', and another machine's there; the same of IPv6."""
HOST6, NEIGHBOUR6 = "fd99::1", "fd99::9"


class NetworkWorld:
    """Broker, store, folders and host outlive the service."""

    def __init__(self, directory: Path, **settings: object) -> None:
        self.directory = directory
        self.broker = MemoryBroker()
        self.state = MemoryState("network")
        folders = {"state_dir": str(directory / "state"), "run_dir": str(directory / "run")}
        self.settings = msgspec.convert({**folders, "interface_prefix": "tst", **settings}, Settings)
        self.bus: Bus
        self.service: NetworkService
        self.events: asyncio.Queue[DockerEvent] = asyncio.Queue()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[NetworkService]:
        """The service runs; the next one finds what it left, which is what a killed one leaves."""
        async with testing.kernel("network", self.directory, self.broker, self.state, self.settings) as kernel:
            self.bus = kernel.bus
            self.service = service = NetworkService(kernel)
            await service.start()
            await kernel.bus.listen(network.NETWORK_EVENT, self.events.put)
            async with testing.serving(kernel, network.CONTRACT, service):
                yield service
            await service.close()

    async def sandbox(self, container: str = "c1", **fields: object) -> Sandbox:
        request = {"container_id": container, "container_name": f"name-{container}", **fields}
        return await self.bus.call(network.SANDBOX, SandboxRequest(**request))  # type: ignore[arg-type]

    async def release(self, container: str = "c1", *, keep_files: bool = False) -> None:
        await self.bus.call(network.RELEASE, network.ReleaseRequest(container_id=container, keep_files=keep_files))

    async def sandboxes(self) -> list[Sandbox]:
        found = (await self.bus.call(network.SANDBOXES, Empty())).sandboxes
        return sorted(found, key=lambda sandbox: sandbox.container_id)

    async def endpoints(self) -> set[str]:
        """Ids of the endpoints in the store, once it has all."""
        await self.service.told()
        view = await self.state.view(network.ENDPOINTS)
        return {parts[1] for parts, _ in view.items(network.ENDPOINTS)}

    def links(self, *, ready: bool = False) -> set[str]:
        """Names of the host's interfaces, without (`ready`: with) the ends of stacks that are made ahead."""
        netlink = Netlink()
        names = {link.name for link in netlink.links() if ready or link.kind != "veth" or link.master}
        netlink.close()
        return names

    def rules(self) -> str:
        return Nftables().run(f"list table inet {self.settings.nft_table}")

    def files(self, kind: str) -> set[str]:
        folder = self.directory / "run" / "network" / kind
        return {path.name for path in folder.iterdir()} if folder.exists() else set()

    def sweep(self) -> None:
        end_all(str(self.settings.run_path / "network"))  # its userland proxy
        unmount_below(self.directory)
        hostmounts.drop_shared(self.settings.run_path)


def socket_in(
    path: str, kind: socket.SocketKind = socket.SOCK_STREAM, family: socket.AddressFamily = socket.AF_INET
) -> socket.socket:
    """A non-blocking socket inside a sandbox."""
    made: list[socket.socket] = []

    def work() -> None:
        made.append(socket.socket(family, kind))

    namespaces.inside(Path(path), work)
    made[0].setblocking(False)
    return made[0]


def here(kind: socket.SocketKind = socket.SOCK_STREAM, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """A socket of the host."""
    return socket.socket(family, kind)


async def assert_nobody(client: socket.socket, address: tuple[str, int]) -> None:
    """Nobody answers there."""
    with pytest.raises((TimeoutError, OSError)):
        await ask(client, address, QUICK)


def address_of(sandbox: Sandbox, network_name: str = "bridge") -> str:
    return sandbox.endpoints[network_name].ip_address


async def listen(
    path: str, port: int = 80, kind: socket.SocketKind = socket.SOCK_STREAM, host: str = "0.0.0.0"
) -> asyncio.Task[None]:
    """A server in the sandbox that answers everybody with the address it sees; ends when cancelled."""
    server = socket_in(path, kind, socket.AF_INET6 if ":" in host else socket.AF_INET)
    server.bind((host, port))
    loop = asyncio.get_running_loop()
    if kind == socket.SOCK_STREAM:
        server.listen()

    async def streams() -> None:
        while True:
            client, address = await loop.sock_accept(server)
            with client:
                await loop.sock_sendall(client, address[0].encode())

    async def datagrams() -> None:
        while True:
            _, address = await loop.sock_recvfrom(server, 100)
            await loop.sock_sendto(server, address[0].encode(), address)

    task = loop.create_task(streams() if kind == socket.SOCK_STREAM else datagrams())
    task.add_done_callback(lambda _: server.close())
    return task


async def ask(client: socket.socket, address: tuple[str, int], timeout: float = 60) -> str:
    """What a server of `listen` answers: the client's address as seen there. Raises when nobody is reached.

    What cannot be reached is tried again: it is a worker of the kernel that makes a new IPv6 address one of the host's
    own, on a busy machine seconds after it was added, and so long it is asked for among the neighbours.
    """
    client.setblocking(False)
    with client:
        async with asyncio.timeout(timeout):
            while True:
                try:
                    return await _ask(client, address)
                except OSError as error:
                    if error.errno not in (errno.EHOSTUNREACH, errno.ECONNABORTED):  # it was, so it may be used again
                        raise


async def _ask(client: socket.socket, address: tuple[str, int]) -> str:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, address)
    if client.type == socket.SOCK_DGRAM:
        await loop.sock_sendall(client, b"?")
    return (await loop.sock_recv(client, 100)).decode()
