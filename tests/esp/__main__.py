"""Two hosts, VXLAN between them, keys that are replaced while data passes."""

from __future__ import annotations

import asyncio
import ctypes
import ipaddress
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from services.network.adapters import esp
from services.network.adapters.esp import Esp
from services.network.adapters.tunnel import CARRIED

SECRET, BULK = b"what nobody else may read", 24 << 20
_libc = ctypes.CDLL(None, use_errno=True)


def said(command: str) -> str:
    return subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout


class Host:
    """A thread in a network namespace of its own."""

    def __init__(self, number: int) -> None:
        self.name, self.address = f"esp{number}", f"10.9.0.{number}"
        self.loop = asyncio.new_event_loop()
        self.esp = Esp(lambda: ipaddress.ip_address(self.address), "shoal_test")
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        descriptor = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        assert _libc.setns(descriptor, 0x40000000) == 0
        self.loop.run_forever()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def made(self, *words: Any) -> socket.socket:
        async def make() -> socket.socket:
            return socket.socket(*words)

        found: socket.socket = self.do(make())
        found.settimeout(30)
        return found


def network() -> tuple[Host, Host]:
    for number in (1, 2):
        said(f"ip netns add esp{number}")
    said("ip link add eth0 netns esp1 type veth peer name eth0 netns esp2")
    for number in (1, 2):
        on = f"ip -n esp{number}"
        said(f"{on} addr add 10.9.0.{number}/24 dev eth0")
        said(f"{on} link set eth0 up")
        said(f"{on} link add vx type vxlan id 78 local 10.9.0.{number} remote 10.9.0.{3 - number} dstport {CARRIED}")
        said(f"{on} addr add 10.11.0.{number}/24 dev vx")
        said(f"{on} link set vx mtu 1350 up")
    return Host(1), Host(2)


class Check:
    """Each step says what it saw; a failed one ends the run."""

    def __init__(self, one: Host, two: Host) -> None:
        self.one, self.two, self.spi = one, two, 1000
        self.server = two.made()
        self.server.bind(("10.11.0.2", 5000))
        self.server.listen()

    def keys(self) -> None:
        """New ones for both directions; the receiver has them first."""
        for sender, receiver in ((self.one, self.two), (self.two, self.one)):
            self.spi += 1
            material = os.urandom(36)
            receiver.do(receiver.esp.receive(sender.address, self.spi, material))
            sender.do(sender.esp.send(receiver.address, self.spi, material, whole=False))

    def connect(self, seconds: float) -> socket.socket | None:
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            client = self.one.made()
            client.settimeout(seconds)
            try:
                client.connect(("10.11.0.2", 5000))
            except OSError:
                continue
            client.settimeout(30)
            return client
        return None

    def run(self) -> None:
        assert self.connect(2) is None
        print("without keys: nothing passes")
        self.keys()
        line = self.two.made(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
        line.bind(("eth0", 0))
        line.settimeout(0.5)
        client = self.connect(30)
        assert client is not None
        peer, _ = self.server.accept()
        client.sendall(SECRET)
        assert peer.recv(100) == SECRET
        heard = _heard(line)
        assert heard
        assert SECRET not in heard
        print(f"with keys: it passes, and is not to be read in {len(heard)} bytes on the line")
        self.bulk(client, peer)
        self.one.do(self.one.esp.end())
        assert not said("ip -n esp1 xfrm state") + said("ip -n esp1 xfrm policy")
        assert self.connect(2) is None
        print("one host without encryption: nothing of it is left, and the other takes nothing in the clear")

    def bulk(self, client: socket.socket, peer: socket.socket) -> None:
        esp.OVERLAP, esp.HANDOVER = 3.0, 1.0
        stop, data = threading.Event(), os.urandom(1 << 16)

        def replace() -> None:
            while not stop.wait(2.2):
                self.keys()

        def send() -> None:
            for _ in range(BULK >> 16):
                client.sendall(data)

        threads = [threading.Thread(target=work) for work in (replace, send)]
        begin = time.monotonic()
        for thread in threads:
            thread.start()
        got = 0
        while got < BULK:
            got += len(peer.recv(1 << 20))
        stop.set()
        for thread in threads:
            thread.join()
        lost = [
            line
            for name in ("esp1", "esp2")
            for line in said(f"ip netns exec {name} cat /proc/net/xfrm_stat").split("\n")
        ]
        lost = [line for line in lost if line and line.split()[1] != "0"]
        seconds, times = time.monotonic() - begin, (self.spi - 1002) // 2
        print(f"{BULK >> 20} MiB in {seconds:.1f} s, keys replaced {times} times; lost: {lost}")
        assert not lost
        time.sleep(2 * esp.OVERLAP + 1)
        left = [len(_run(host, host.esp._ours)) for host in (self.one, self.two)]
        print(f"associations afterwards: {left}")
        assert left == [2, 2]


def _run(host: Host, work: Callable[[], Any]) -> list[Any]:
    async def run() -> list[Any]:
        return list(work())

    found: list[Any] = host.do(run())
    return found


def _heard(line: socket.socket) -> bytes:
    found = b""
    try:
        while True:
            found += line.recv(1 << 16)
    except TimeoutError:
        return found


def main() -> None:
    if not esp.available():
        sys.exit("this kernel has no ESP with AES-GCM and extended sequence numbers: nothing can be tried here")
    try:
        one, two = network()
        for host in (one, two):
            host.do(host.esp.open())
        Check(one, two).run()
        print("good")
    finally:
        for number in (1, 2):
            subprocess.run(["ip", "netns", "del", f"esp{number}"], check=False)


if __name__ == "__main__":
    main()
