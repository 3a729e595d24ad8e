"""Names in containers: what the DNS server at 127.0.0.11 answers, by UDP and TCP, and what a program makes of it."""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.engine import IMAGE, Engine, unique
from tests.support.namespaces import socket_in

A, AAAA = 1, 28
NOERROR, NXDOMAIN = 0, 3
OUTSIDE = "203.0.113.7"


def question(name: str, kind: int) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def ask(engine: Engine, container: str, name: str, kind: int = A, *, tcp: bool = False) -> tuple[int, list[str]]:
    """Response code and IPv4 addresses of an answer to a program in the container."""
    sent = question(name, kind)
    namespace = Path(f"/proc/{engine.inspect(container)['State']['Pid']}/ns/net")
    with socket_in(namespace, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as client:
        client.settimeout(60)
        client.connect(("127.0.0.11", 53))
        client.sendall(struct.pack("!H", len(sent)) + sent if tcp else sent)
        if tcp:
            [length] = struct.unpack("!H", client.recv(2, socket.MSG_WAITALL))
            reply = client.recv(length, socket.MSG_WAITALL)
        else:
            reply = client.recv(4096)
    found, at = [], len(sent)
    for _ in range(struct.unpack_from("!H", reply, 6)[0]):
        at = at + 2 if reply[at] >= 0xC0 else reply.index(b"\0", at) + 1  # where the name is, or the name itself
        found.append(socket.inet_ntoa(reply[at + 10 : at + 14]))
        at += 14
    return reply[3] & 15, found


@contextmanager
def server(engine: Engine, known: str, namespace: Path | None = None) -> Iterator[None]:
    """A DNS server at all addresses of the host, or of a namespace, that knows one name."""
    namespace = namespace or engine.netns or Path("/proc/self/ns/net")
    with socket_in(namespace, socket.SOCK_DGRAM) as listening, socket_in(namespace, socket.SOCK_DGRAM) as last:
        listening.bind(("0.0.0.0", 53))
        listening.settimeout(None)
        wanted = question(known, A)[12:-4]

        def serve() -> None:
            while (received := listening.recvfrom(4096))[0] != b"end":
                message, client = received
                name, kind = message[12 : message.index(b"\0", 12) + 1], message[message.index(b"\0", 12) + 2]
                asked = message[12 : 12 + len(name) + 4]
                found = name == wanted and kind == A
                code = NOERROR if name == wanted else NXDOMAIN
                head = message[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, int(found), 0, 0)
                record = b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 60, 4) + socket.inet_aton(OUTSIDE)
                listening.sendto(head + asked + (record if found else b""), client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            last.sendto(b"end", ("127.0.0.1", 53))
            thread.join()


@pytest.fixture
def network(engine: Engine) -> Iterator[str]:
    """A network whose gateway has a DNS server, which containers are to ask: nobody waits for the world's."""
    name = unique("names")
    engine.ok("network", "create", "--subnet", "10.96.0.0/24", name)
    with server(engine, "far.example.org"):
        yield name


def begin(engine: Engine, network: str, name: str, *options: str) -> str:
    """A container on the network; its address there."""
    engine.start("--name", name, "--network", network, "--dns", "10.96.0.1", *options, IMAGE, "sleep", "1000")
    address: str = engine.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"]
    return address


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_names_aliases_and_ids(engine: Engine, network: str, tcp: bool) -> None:
    begin(engine, network, "asks")
    one = begin(engine, network, "one", "--network-alias", "both")
    two = begin(engine, network, "two", "--network-alias", "both")
    id = engine.inspect("one")["Id"]
    for name in ("one", "ONE", f"one.{network}", id[:12]):
        assert ask(engine, "asks", name, tcp=tcp) == (NOERROR, [one]), name
    assert ask(engine, "asks", "one", AAAA, tcp=tcp) == (NOERROR, []), "a name without an address of that family"
    answers = [ask(engine, "asks", "both", tcp=tcp)[1] for _ in range(40)]
    assert all(sorted(each) == sorted((one, two)) for each in answers)
    assert {each[0] for each in answers} == {one, two}, "each comes first now and then"


def test_names_follow_their_containers(engine: Engine, network: str) -> None:
    begin(engine, network, "asks")
    address = begin(engine, network, "one")
    engine.ok("rename", "one", "uno")
    assert ask(engine, "asks", "uno") == (NOERROR, [address])
    assert ask(engine, "asks", "one")[0] == NXDOMAIN
    engine.ok("network", "disconnect", network, "uno")
    assert ask(engine, "asks", "uno")[0] == NXDOMAIN
    engine.ok("network", "connect", "--alias", "again", "--ip", "10.96.0.77", network, "uno")
    assert ask(engine, "asks", "again") == ask(engine, "asks", "uno") == (NOERROR, ["10.96.0.77"])
    engine.ok("kill", "uno")
    assert ask(engine, "asks", "again")[0] == NXDOMAIN


def test_what_is_asked_outside(engine: Engine, network: str) -> None:
    begin(engine, network, "asks", "--dns-search", "example.org", "--dns-option", "timeout:9")
    assert ask(engine, "asks", "far.example.org") == (NOERROR, [OUTSIDE])
    assert ask(engine, "asks", "nowhere.example.org")[0] == NXDOMAIN
    written = engine.ok("exec", "asks", "cat", "/etc/resolv.conf").splitlines()
    assert {"nameserver 127.0.0.11", "search example.org", "options timeout:9 ndots:0"} <= set(written)
    said = engine.docker("exec", "asks", "ping", "-c", "1", "-W", "1", "far").out
    assert said.startswith(f"PING far ({OUTSIDE})"), "a name that the search domain makes whole"


@pytest.fixture
def parent(engine: Engine) -> Iterator[str]:
    """A link of the host for a macvlan network."""
    inside = ["nsenter", f"--net={engine.netns or '/proc/self/ns/net'}", "ip", "link"]
    subprocess.run([*inside, "add", "lan0", "type", "bridge"], check=True)
    subprocess.run([*inside, "set", "lan0", "up"], check=True)
    yield "lan0"
    subprocess.run([*inside, "del", "lan0"], check=True)


def test_servers_that_are_named_are_asked_from_inside(engine: Engine, parent: str) -> None:
    """The host does not reach what is on a macvlan network, nor the container's own loopback."""
    name = unique("lan")
    engine.ok("network", "create", "-d", "macvlan", "--subnet", "10.97.0.0/24", "-o", f"parent={parent}", name)
    engine.start("--name", "serves", "--network", name, "--ip", "10.97.0.53", IMAGE, "sleep", "1000")
    engine.start("--name", "asks", "--network", name, "--dns", "10.97.0.53", IMAGE, "sleep", "1000")
    with server(engine, "far.example.org", Path(f"/proc/{engine.inspect('serves')['State']['Pid']}/ns/net")):
        assert ask(engine, "asks", "far.example.org") == (NOERROR, [OUTSIDE])
    engine.start("--name", "alone", "--network", name, "--dns", "127.0.0.1", IMAGE, "sleep", "1000")
    with server(engine, "far.example.org", Path(f"/proc/{engine.inspect('alone')['State']['Pid']}/ns/net")):
        assert ask(engine, "alone", "far.example.org") == (NOERROR, [OUTSIDE])
