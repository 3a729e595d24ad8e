"""Two hosts on one machine: network namespaces joined by a line, each with its own loop, tunnel and agreement."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from services.network.adapters import tunnel
from services.network.adapters.tunnel import Tunnel
from services.network.protection import Identity, Protection
from shared import clock, pki
from shared.contracts.network import AgreeReply, AgreeRequest
from shared.tasks import TaskGroup
from tests.support.host_network import own_host

T = TypeVar("T")
TABLE = "shoal_test"


def ip(*words: str) -> None:
    """ip(8) in the calling thread's network namespace."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


class ProtectedHost:
    """A thread in a network of its own, whose threads and processes are there too. Number `n` has 10.9.0.n."""

    def __init__(self, number: int, folder: Path, authority: pki.Identity) -> None:
        self.number, self.node, self.address = number, f"node{number}", f"10.9.0.{number}"
        self.folder = folder / self.node
        key = pki.new_key()
        certificate = pki.issue(authority, pki.request(key), self.node, self.address, clock.now_ns())
        self.identity = Identity(certificate, key, authority.certificate)
        self.hosts: dict[str, ProtectedHost] = {}
        self.loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self.network = ""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._up.wait(60)

    def _run(self) -> None:
        with own_host():
            self.network = f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net"
            self.loop.call_soon(self._up.set)
            self.loop.run_forever()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Work on the host, begun."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.start(work).result(60)

    def call(self, work: Callable[[], T]) -> T:
        """What a function answers in the host's network."""

        async def run() -> T:
            return work()

        return self.do(run())

    def protect(self) -> None:
        """Makes its tunnel and agreement."""

        async def make() -> None:
            self.tasks = TaskGroup(self.node)
            self.tunnel = Tunnel(self.folder, "tunnel0", lambda: ipaddress.ip_address(self.address), TABLE)
            addresses = {other.node: other.address for other in self.hosts.values()}
            self.protection = Protection(
                self.node,
                lambda: self.tunnel,
                lambda: self.identity,
                lambda: addresses,
                self._ask,
                self.tasks,
                self.folder / "encrypted",
            )
            await self.protection.open()

        self.do(make())

    async def _ask(self, node: str, request: AgreeRequest) -> AgreeReply:
        other = self.hosts[node]
        return await asyncio.wrap_future(other.start(other.protection.agree(request)))

    def stop(self) -> None:
        async def end() -> None:
            if hasattr(self, "protection"):
                await self.protection.end()
                await self.tasks.close()

        self.do(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@contextlib.contextmanager
def two_hosts(folder: Path) -> Iterator[tuple[ProtectedHost, ProtectedHost]]:
    """Joined by a line of 1500 bytes, each with a VXLAN interface `plain` (10.10.0.n) and one `secret` (10.11.0.n)."""
    authority = pki.authority("test", clock.now_ns())
    one, two = (ProtectedHost(number, folder, authority) for number in (1, 2))
    try:
        for host in (one, two):
            host.hosts = {other.node: other for other in (one, two) if other is not host}
        one.call(lambda: ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", two.network))
        for host, other in ((one, two), (two, one)):
            host.call(lambda host=host, other=other: _set_up(host, other))  # type: ignore[misc]
        yield one, two
    finally:
        for host in (one, two):
            host.stop()


def _set_up(host: ProtectedHost, other: ProtectedHost) -> None:
    ip("addr", "add", f"{host.address}/24", "dev", "eth0")
    ip("link", "set", "eth0", "up")
    for name, vni, port, net, mtu in (("plain", 77, 4789, 10, 1450), ("secret", 78, tunnel.CARRIED, 11, 1350)):
        place = ("local", host.address, "remote", other.address, "dstport", str(port))
        ip("link", "add", name, "type", "vxlan", "id", str(vni), *place)
        ip("addr", "add", f"10.{net}.0.{host.number}/24", "dev", name)
        ip("link", "set", name, "mtu", str(mtu), "up")
