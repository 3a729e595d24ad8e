"""The routing mesh: published ports reached at every host, in a lab whose hosts have addresses of both families."""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
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


async def test_connections_by_every_host_go_on_whatever_is_killed_and_while_the_container_moves(hosts: Hosts) -> None:
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
        for number in (1, 2):
            processes = json.loads(hosts.shoal_ok(number, "status", "--json"))
            service = next(one["pid"] for one in processes if one["name"] == "network")
            hosts.lab.host(number).run(["kill", "-9", str(service)], {})
            hosts.docker(number, "run", "--rm", "--label", f"shoal.node=node{number}", "busybox", "true")
            for port, client in clients.items():
                assert echoes(client, f"after a kill on node{number}" * LONG), (number, entries[port])
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


def answers(hosts: Hosts, client: int, entry: int, port: int, name: str) -> bool:
    return answer(hosts, client, address(entry), port) == f"I am {name}"


def port_of(hosts: Hosts, name: str) -> int:
    """The host's port of a container's port 80."""
    return int(hosts.docker(1, "port", name, "80").splitlines()[0].rpartition(":")[2])


async def test_chosen_ports_are_reached_at_every_host_and_go_along(hosts: Hosts) -> None:
    run(hosts, 1, "all", WEB, "--hostname", "all", "-P", "--expose", "80")
    run(hosts, 2, "any", WEB, "--hostname", "any", "-p", "80")
    ports = {name: port_of(hosts, name) for name in ("all", "any")}
    for name, port in ports.items():
        for entry in ALL:
            await until(partial(answers, hosts, 3, entry, port, name), 30)
    assert "stood still for" in hosts.shoal_ok(1, "migrate", "all", "node3")
    assert port_of(hosts, "all") == ports["all"]
    for entry in ALL:
        await until(partial(answers, hosts, 2, entry, ports["all"], "all"), 30)
    hosts.docker(1, "rm", "-f", "all", "any")


async def test_a_chosen_port_that_another_host_has_is_left_to_it(hosts: Hosts) -> None:
    """The container starts, and is reached at the other hosts; there too once it is free."""
    hosts.docker(2, "run", "-d", "--label", "shoal.node=node2", "--name", "local", "--hostname", "local",
                 "--network", "bridge", "-p", "80", "busybox", "sh", "-c", WEB)  # fmt: skip
    port = port_of(hosts, "local")
    run(hosts, 1, "ranged", WEB, "--hostname", "ranged", "-p", f"{port}-{port + 1}:80")
    assert port_of(hosts, "ranged") == port
    await until(lambda: answer(hosts, 1, address(3), port) == "I am ranged", 30)
    assert answer(hosts, 1, address(2), port) == "I am local"
    listening = f"exec 3>&1; busybox nc -l -p {port} 2>&1"
    assert "in use" in hosts.run(3, "sh", "-c", listening).stdout, (
        "no program of a host gets a port that leads elsewhere"
    )
    hosts.docker(2, "rm", "-f", "local")
    await until(lambda: answer(hosts, 1, address(2), port) == "I am ranged", 60)
    hosts.docker(1, "rm", "-f", "ranged")


def test_containers_that_start_at_once_choose_different_ports(hosts: Hosts) -> None:
    """From a range that has as many ports as there are containers: each takes what no other has."""
    command = ["docker", "run", "-d", "--network", "across", "-p", "7100-7102:80"]
    begun = []
    for number in ALL:
        words = [*command, "--label", f"shoal.node=node{number}", "--name", f"once{number}", "busybox", "sleep", "1000"]
        how = {"env": hosts.environment(number), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        begun.append(subprocess.Popen(hosts.lab.host(number).command(words), text=True, **how))  # type: ignore[call-overload]
    said = [process.communicate(timeout=60)[1] for process in begun]
    assert [process.returncode for process in begun] == [0, 0, 0], said
    assert {port_of(hosts, f"once{number}") for number in ALL} == {7100, 7101, 7102}
    assert "all ports are allocated" in hosts.refused(1, *command[1:], "--name", "late", "busybox", "true")
    hosts.docker(1, "rm", "-f", "late", *(f"once{number}" for number in ALL))
