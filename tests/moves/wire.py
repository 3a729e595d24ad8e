"""A network that a workload moves in: a bridge in a namespace of its own, clients, and a sandbox for each move."""

from __future__ import annotations

import fcntl
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from services.platform.adapters import syscalls

SERVER, CLIENT = "10.77.0.3", "10.77.0.2"
MAC = "02:00:00:00:77:03"
CLONE_NEWNET = 0x40000000
_SIOCBRADDIF, _SIOCBRDELIF = 0x89A2, 0x89A3


def inside(path: str, work: Callable[[], object]) -> None:
    """Runs work in a thread that has gone into the network namespace of that file."""

    def run() -> None:
        with open(path) as file:
            syscalls.setns(file.fileno(), CLONE_NEWNET)
        work()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


class Wire:
    """All of it below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Path] = []
        self.client = self._namespace("client")
        self._switch = self._namespace("switch")
        self._ip(self._switch, "link add br0 type bridge", "link set br0 up")
        self._cable(self.client, "c0", f"{CLIENT}/24", "")
        self.port("c0", True)

    def _namespace(self, name: str) -> str:
        path = self._folder / f"net-{name}"
        path.touch()
        subprocess.run(["unshare", f"--net={path}", "ip", "link", "set", "lo", "up"], check=True)
        self._made.append(path)
        return str(path)

    @staticmethod
    def _ip(path: str, *commands: str) -> None:
        for command in commands:
            subprocess.run(["nsenter", f"--net={path}", "ip", *command.split()], check=True)

    def _cable(self, path: str, port: str, address: str, mac: str) -> None:
        """A veth pair: `eth0` with that address in the namespace, `port` beside the bridge."""
        hardware = f"address {mac} " if mac else ""
        self._ip(path, f"link add eth0 {hardware}type veth peer name {port} netns {self._switch}")
        self._ip(path, f"addr add {address} dev eth0", "link set eth0 up")
        self._ip(self._switch, f"link set {port} up")

    def sandbox(self, number: int) -> str:
        """A namespace with the server's addresses, its port not attached."""
        path = self._namespace(f"s{number}")
        self._cable(path, f"s{number}", f"{SERVER}/24", MAC)
        return path

    def port(self, name: str, attached: bool) -> None:
        """Attaches a port to the bridge, or takes it off; by one call."""

        def change() -> None:
            request = _SIOCBRADDIF if attached else _SIOCBRDELIF
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                fcntl.ioctl(asking, request, struct.pack("16si20x", b"br0", socket.if_nametoindex(name)))

        inside(self._switch, change)

    def close(self) -> None:
        for path in self._made:
            subprocess.run(["umount", "-l", str(path)], check=False)
