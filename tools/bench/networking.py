"""Networks as their users feel them: made and removed, bytes between containers and through a port, names resolved.

Sockets are made inside the containers' network namespaces by this process: the network is measured, not a client.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.bench.client import Incomplete
from tools.bench.engine import FOREVER, LABEL, Engine
from tools.bench.processes import peer

TRANSFER = 500_000_000
CHUNK = 1 << 20
PORT = 5000
QUERIES = 300
RESOLVER = ("127.0.0.11", 53)
SECONDS = 20.0
_CLONE_NEWNET = 0x40000000
Sampler = Callable[[], float]


def socket_in(namespace: Path, kind: socket.SocketKind) -> socket.socket:
    """A socket of another network namespace; made by a thread of its own, which ends in there."""

    def make() -> socket.socket:
        descriptor = os.open(namespace, os.O_RDONLY)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(descriptor, _CLONE_NEWNET) < 0:
                raise OSError(ctypes.get_errno(), f"setns {namespace}")
        finally:
            os.close(descriptor)
        made = socket.socket(socket.AF_INET, kind)
        made.settimeout(SECONDS)
        return made

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(make).result()


def of_engine(engine: Engine) -> Path:
    """The namespace in which an engine publishes ports."""
    return Path(f"/proc/{peer(engine.path)}/ns/net")


def of_container(shown: dict[str, Any]) -> Path:
    """The namespace of a running container."""
    return Path(f"/proc/{shown['State']['Pid']}/ns/net")


@contextmanager
def network(engine: Engine) -> Iterator[Sampler]:
    """Create and remove a bridge network."""

    def sample() -> float:
        begin = time.perf_counter()
        body = {"Name": f"bench-{begin:.6f}", "CheckDuplicate": True, "Labels": {LABEL: engine.name}}
        made = engine.api.json("POST", "/networks/create", body)["Id"]
        engine.api.call("DELETE", f"/networks/{made}")
        return (time.perf_counter() - begin) * 1000

    yield sample


@contextmanager
def running(engine: Engine, on: str, **more: Any) -> Iterator[dict[str, Any]]:
    """A container that sleeps, as inspect shows it."""
    with engine.container(FOREVER, on, **more) as container:
        engine.start(container)
        yield engine.api.json("GET", f"/containers/{container}/json")


@contextmanager
def listening(namespace: Path, address: str) -> Iterator[socket.socket]:
    """A server inside a container."""
    with socket_in(namespace, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, PORT))
        server.listen()
        yield server


def transfer(server: socket.socket, client: socket.socket) -> float:
    """MB (10^6 bytes) a second from client to server."""
    connection, _ = server.accept()
    connection.settimeout(SECONDS)
    sender = threading.Thread(target=_send, args=(client,))
    buffer, got = bytearray(CHUNK), 0
    begin = time.perf_counter()
    sender.start()
    with connection:
        while count := connection.recv_into(buffer):
            got += count
    spent = time.perf_counter() - begin
    sender.join()
    if got != TRANSFER:
        raise Incomplete(f"{got} of {TRANSFER} bytes came")
    return TRANSFER / spent / 1e6


def _send(client: socket.socket) -> None:
    data = bytes(CHUNK)
    for begin in range(0, TRANSFER, CHUNK):
        client.sendall(data[: TRANSFER - begin])
    client.shutdown(socket.SHUT_WR)


@contextmanager
def between(engine: Engine) -> Iterator[Sampler]:
    """TCP from one container on the bridge to another."""
    with running(engine, "bridge") as first, running(engine, "bridge") as second:
        address = second["NetworkSettings"]["IPAddress"]
        with listening(of_container(second), address) as server:

            def sample() -> float:
                with socket_in(of_container(first), socket.SOCK_STREAM) as client:
                    client.connect((address, PORT))
                    return transfer(server, client)

            yield sample


@contextmanager
def published(engine: Engine) -> Iterator[Sampler]:
    """TCP from the host to a container through a port published on the loopback address."""
    bindings = {f"{PORT}/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    more = {"ExposedPorts": {f"{PORT}/tcp": {}}, "HostConfig": {"PortBindings": bindings}}
    with running(engine, "bridge", **more) as shown:
        settings = shown["NetworkSettings"]
        port = int(settings["Ports"][f"{PORT}/tcp"][0]["HostPort"])
        with listening(of_container(shown), settings["IPAddress"]) as server:

            def sample() -> float:
                with socket_in(of_engine(engine), socket.SOCK_STREAM) as client:
                    client.connect(("127.0.0.1", port))
                    return transfer(server, client)

            yield sample


def question(number: int, name: str) -> bytes:
    """A query for the address of a name (RFC 1035 section 4)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)


def check_answer(number: int, answer: bytes) -> None:
    """Raises `Incomplete` for anything but an answer with an address."""
    identity, flags, _, answers = struct.unpack_from(">4H", answer)
    if identity != number or flags & 0x000F or not answers:
        raise Incomplete(f"no address in the answer: {answer[:12].hex()}")


@contextmanager
def names(engine: Engine) -> Iterator[Sampler]:
    """Queries a second for a container's name at the resolver inside another one, one after the other."""
    name = f"bench-names-{os.getpid()}"
    made = engine.api.json("POST", "/networks/create", {"Name": name, "Labels": {LABEL: engine.name}})["Id"]
    try:
        alias = {"NetworkingConfig": {"EndpointsConfig": {name: {"Aliases": ["target"]}}}}
        with running(engine, name) as shown, running(engine, name, **alias):

            def sample() -> float:
                with socket_in(of_container(shown), socket.SOCK_DGRAM) as client:
                    client.connect(RESOLVER)
                    begin = time.perf_counter()
                    for number in range(QUERIES):
                        client.send(question(number, "target"))
                        check_answer(number, client.recv(512))
                    return QUERIES / (time.perf_counter() - begin)

            yield sample
    finally:
        engine.api.call("DELETE", f"/networks/{made}")
