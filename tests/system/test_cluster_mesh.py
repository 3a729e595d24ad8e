"""The routing mesh: published ports reached at every host, in a lab whose hosts have addresses of both families."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.network.adapters import namespaces
from tests.support.cluster import Hosts, engines
from tests.support.waiting import until
from tools.lab.plan import address

pytestmark = [pytest.mark.shoal_only, pytest.mark.timeout(600)]
ALL = (1, 2, 3)


def address6(number: int) -> str:
    return f"fd00:c6::{number}"


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Three hosts, and the network `across`."""
    with engines(tmp_path_factory.mktemp("mesh"), 3) as made:
        for number in ALL:
            made.ok(number, "ip", "addr", "add", f"{address6(number)}/64", "dev", "eth0", "nodad")
        made.load()
        made.init()
        made.join(2)
        made.join(3)
        made.docker(1, "network", "create", "-d", "overlay", "--attachable", "--ipv6", "across")
        yield made


def run(hosts: Hosts, number: int, name: str, script: str, *options: str) -> None:
    where = ("--label", f"shoal.node=node{number}", "--name", name, "--network", "across")
    hosts.docker(number, "run", "-d", *where, *options, "busybox", "sh", "-c", script)


def connected(hosts: Hosts, number: int, where: str, port: int) -> socket.socket:
    """A client on a host; raises `OSError` where nobody takes it."""
    family = socket.AF_INET6 if ":" in where else socket.AF_INET
    client = namespaces.inside(Path(hosts.lab.host(number).network), lambda: socket.socket(family))
    client.settimeout(5)
    try:
        client.connect((where, port))
    except BaseException:
        client.close()
        raise
    client.settimeout(60)
    return client


def echoes(client: socket.socket, word: str) -> bool:
    client.sendall(word.encode())
    with client.makefile("rb") as told:
        return told.read(len(word)) == word.encode()


def answer(hosts: Hosts, number: int, where: str, port: int) -> str:
    """What an HTTP server says there; empty: nobody answers."""
    try:
        with connected(hosts, number, where, port) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with client.makefile("rb") as told:
                return told.read().rpartition(b"\r\n\r\n")[2].decode().strip()
    except OSError:
        return ""


WEB = "echo I am $HOSTNAME >/tmp/index.html; exec httpd -f -h /tmp"
ECHOES = "for port in 7 8 9; do nc -l -p $port -e cat & done; wait"
LONG = 1000
"""So that what is said at once takes several packets."""


async def test_connections_by_every_host_go_on_while_the_container_moves(hosts: Hosts) -> None:
    """A client on the third host, by each host's address, the container's own among them."""
    ports = [word for port in (7, 8, 9) for word in ("-p", f"700{port}:{port}")]
    run(hosts, 1, "echo", ECHOES, *ports)
    entries = {7: address(3), 8: address(2), 9: address(1)}
    with ExitStack() as open_clients:
        clients: dict[int, socket.socket] = {}

        def reached(port: int) -> bool:
            try:
                clients[port] = open_clients.enter_context(connected(hosts, 3, entries[port], 7000 + port))
            except OSError:
                return False
            return True

        for port in entries:
            await until(lambda port=port: reached(port), 30)  # type: ignore[misc]
            assert echoes(clients[port], "before" * LONG), port
        for target in (2, 1):
            told = hosts.shoal_ok(1, "migrate", "echo", f"node{target}")
            assert "stood still for" in told
            where = hosts.docker(3, "inspect", "echo", "-f", "{{.Node.Name}} {{.State.Status}} {{.RestartCount}}")
            assert where == f"node{target} running 0"
            for port, client in clients.items():
                assert echoes(client, f"at node{target}" * LONG), (target, entries[port])
    hosts.docker(1, "rm", "-f", "echo")


async def test_a_published_port_is_reached_at_every_host_over_ipv6(hosts: Hosts) -> None:
    run(hosts, 2, "six", WEB, "--hostname", "six", "-p", "8060:80")
    await until(lambda: answer(hosts, 3, address6(1), 8060) == "I am six", 60)
    for client in ALL:
        for entry in ALL:
            if entry == 2 or client != 2:  # the container's host asks others by IPv4 only
                assert answer(hosts, client, address6(entry), 8060) == "I am six", (client, entry)
    with connected(hosts, 3, address6(1), 8060) as client6:
        seen = hosts.docker(2, "exec", "six", "netstat", "-tn")
        assert f"{address6(3)}:{client6.getsockname()[1]}" in seen
    hosts.docker(2, "rm", "-f", "six")
