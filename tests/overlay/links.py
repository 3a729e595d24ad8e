"""Three ways between two hosts of a lab: a bare VXLAN link, an overlay network, an encrypted one."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

from services.network.adapters import namespaces
from tests.support.cluster import Hosts

BARE = "10.99.0"
SECONDS = 30.0


class Links:
    """Makes them; each has an address at both hosts, in the host's network or a container's."""

    names = ("bare", "plain", "encrypted")

    def __init__(self, hosts: Hosts, line: str) -> None:
        self._hosts = hosts
        hosts.load()
        hosts.init()
        hosts.join(2)
        hosts.docker(1, "network", "create", "-d", "overlay", "plain")
        hosts.docker(1, "network", "create", "-d", "overlay", "--opt", "encrypted", "encrypted")
        self._ends: dict[str, list[tuple[Path, str]]] = {"bare": []}
        for number in (1, 2):
            where = f"local 198.18.0.{number} remote 198.18.0.{3 - number}"
            self._ip(number, f"link add bare type vxlan id 99 {where} dstport 4999 dev eth0")
            self._ip(number, f"addr add {BARE}.{number}/24 dev bare")
            self._ip(number, "link set bare up")
            self._ends["bare"].append((Path(hosts.lab.host(number).network), f"{BARE}.{number}"))
            if line:
                shape = f"tc qdisc add dev eth0 root tbf rate {line} burst 512kb latency 20ms"
                hosts.ok(number, *shape.split())
        for network in ("plain", "encrypted"):
            self._ends[network] = [self._container(number, network) for number in (1, 2)]

    def _ip(self, number: int, words: str) -> None:
        self._hosts.ok(number, "ip", *words.split())

    def _container(self, number: int, network: str) -> tuple[Path, str]:
        name = f"{network}{number}"
        where = ("--label", f"shoal.node=node{number}", "--network", network, "--name", name)
        self._hosts.docker(number, "run", "-d", *where, "busybox", "sleep", "100000")
        shown = json.loads(self._hosts.docker(number, "inspect", name))[0]["NetworkSettings"]
        root = Path(f"/proc/{self._hosts.lab.host(number).pid}/root")
        return root / shown["SandboxKey"].lstrip("/"), shown["Networks"][network]["IPAddress"]

    @contextlib.contextmanager
    def connection(self, name: str) -> Iterator[tuple[socket.socket, socket.socket]]:
        """Both ends of a TCP connection over that link."""
        (here, _), (there, address) = self._ends[name]
        listener = namespaces.inside(there, lambda: socket.create_server((address, 0)))
        client = namespaces.inside(here, socket.socket)
        for each in (listener, client):
            each.settimeout(SECONDS)
        with listener, client:
            client.connect(listener.getsockname())
            server, _ = listener.accept()
            server.settimeout(SECONDS)
            with server:
                yield client, server
