"""Networks across hosts, by plain docker commands in a lab."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.network.adapters import namespaces
from tests.support.cluster import Hosts, engines
from tests.support.lab_lines import Line, seals, tunnel_of
from tests.support.waiting import until
from tools.lab.lab import CHECKOUT

pytestmark = pytest.mark.shoal_only
ALL = (1, 2, 3)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Three hosts with a container each, on one network; each answers TCP at port 80 and says who it is."""
    with engines(tmp_path_factory.mktemp("networks"), 3) as made:
        made.load()
        made.init()
        made.join(2)
        made.join(3)
        made.docker(1, "network", "create", "-d", "overlay", "--attachable", "--ipv6", "across")
        for number in ALL:
            serve(made, number, f"c{number}", "across", "-p", f"80{number}0:80")
        yield made


def serve(hosts: Hosts, number: int, name: str, network: str, *options: str) -> None:
    script = f"echo I am {name} >/tmp/index.html; exec httpd -f -h /tmp"
    where = ("--label", f"shoal.node=node{number}")
    hosts.docker(number, "run", "-d", *where, "--name", name, "--network", network, *options, "busybox", "sh", "-c",
                 script)  # fmt: skip
    hosts.docker(number, "exec", name, "sh", "-c", "until nc -w 5 127.0.0.1 80 </dev/null; do :; done")


def answer(hosts: Hosts, asker: str, name: str) -> str:
    """Who answers TCP at a name, asked from inside a container; empty: nobody."""
    script = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {name} 80 | tail -n1"
    return hosts.run(1, "docker", "exec", asker, "sh", "-c", script).stdout.strip()


def pings(hosts: Hosts, asker: str, name: str, *options: str, host: int = 1) -> bool:
    return hosts.run(host, "docker", "exec", asker, "ping", "-c1", "-W2", *options, name).returncode == 0


def links(hosts: Hosts, number: int) -> set[str]:
    """Names of a host's interfaces that belong to networks."""
    found = json.loads(hosts.ok(number, "ip", "-j", "link"))
    return {one["ifname"] for one in found if one["ifname"].startswith("shl-")}


def test_containers_of_all_hosts_reach_each_other_by_name(hosts: Hosts) -> None:
    for asker in ALL:
        for asked in ALL:
            assert answer(hosts, f"c{asker}", f"c{asked}") == f"I am c{asked}"
            assert pings(hosts, f"c{asker}", f"c{asked}.across", "-4")
            assert pings(hosts, f"c{asker}", f"c{asked}", "-6")


def test_every_host_shows_the_network_with_all_that_is_on_it(hosts: Hosts) -> None:
    for number in ALL:
        assert "across" in hosts.docker(number, "network", "ls", "--filter", "scope=global", "--format", "{{.Name}}")
        shown = json.loads(hosts.docker(number, "network", "inspect", "across"))[0]
        assert {one["Name"] for one in shown["Containers"].values()} == {"c1", "c2", "c3"}
        assert (shown["Scope"], shown["Driver"], shown["Attachable"]) == ("global", "overlay", True)
    assert "has active endpoints" in hosts.refused(2, "network", "rm", "across")
    assert "already exists" in hosts.refused(3, "network", "create", "-d", "overlay", "across")
    assert "overlaps" in hosts.refused(3, "network", "create", "-d", "overlay", "--subnet", "10.0.1.0/25", "other")


def test_a_container_reaches_outside_and_is_reached_by_its_published_port(hosts: Hosts) -> None:
    script = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 5 198.18.0.2 8020 | tail -n1"
    assert hosts.ok(1, "sh", "-c", script) == "I am c2"
    assert pings(hosts, "c1", "198.18.0.3")
    shown = json.loads(hosts.docker(1, "inspect", "c2"))[0]["NetworkSettings"]["Networks"]
    assert list(shown) == ["across"]
    assert "1450" in hosts.docker(2, "exec", "c2", "cat", "/sys/class/net/eth0/mtu")


def test_running_containers_come_to_a_network_and_leave_it(hosts: Hosts) -> None:
    hosts.docker(3, "network", "create", "-d", "overlay", "--internal", "--subnet", "10.9.0.0/24", "inner")
    hosts.docker(1, "network", "connect", "--ip", "10.9.0.77", "--alias", "first", "inner", "c1")
    hosts.docker(1, "network", "connect", "inner", "c3")
    assert pings(hosts, "c3", "first.inner")
    assert "10.9.0.77" in hosts.docker(3, "exec", "c3", "nslookup", "first")
    assert "Address already in use" in hosts.refused(2, "network", "connect", "--ip", "10.9.0.77", "inner", "c2")
    hosts.docker(2, "network", "disconnect", "inner", "c1")
    assert not pings(hosts, "c3", "10.9.0.77")
    assert answer(hosts, "c3", "c1") == "I am c1"
    hosts.docker(2, "network", "disconnect", "inner", "c3")
    hosts.docker(2, "network", "rm", "inner")


async def test_a_host_that_is_cut_off_goes_on_and_nothing_stale_stays(hosts: Hosts) -> None:
    """What changes meanwhile is known when it is back; what needs agreement is refused until then."""
    serve(hosts, 2, "moving", "across", "--network-alias", "service")
    assert answer(hosts, "c3", "service") == "I am moving"
    for other in (1, 2):
        hosts.lab.cut(3, other)
    try:
        hosts.docker(2, "rm", "-f", "moving")
        serve(hosts, 1, "moved", "across", "--network-alias", "service")
        assert answer(hosts, "c2", "service") == "I am moved"
        refused = hosts.run(3, "docker", "network", "create", "-d", "overlay", "nobody-knows")
        assert "cut off" in refused.stderr
        hosts.docker(3, "restart", "-t", "0", "c3")  # with the addresses it had
        assert pings(hosts, "c3", "c3", "-4", host=3)
    finally:
        for other in (1, 2):
            hosts.lab.mend(3, other)
    await until(lambda: hosts.run(3, "docker", "exec", "c3", "ping", "-c1", "-W1", "c1").returncode == 0, 120)
    await until(lambda: answer(hosts, "c3", "service") == "I am moved", 120)
    assert answer(hosts, "moved", "c3") == "I am c3"
    hosts.docker(1, "rm", "-f", "moved")


async def test_a_killed_network_service_finds_everything_again(hosts: Hosts) -> None:
    processes = json.loads(hosts.shoal_ok(2, "status", "--json"))
    service = next(one["pid"] for one in processes if one["name"] == "network")
    hosts.lab.host(2).run(["kill", "-9", str(service)], {})
    assert pings(hosts, "c1", "c2")
    await until(lambda: answer(hosts, "c2", "c3") == "I am c3", 60)

    def shown() -> set[str]:
        found = json.loads(hosts.docker(2, "network", "inspect", "across"))[0]
        return {one["Name"] for one in found["Containers"].values()}

    await until(lambda: shown() == {"c1", "c2", "c3"}, 60)  # what was removed a moment ago is told in its time


def ask(hosts: Hosts, number: int, endpoint: str, **request: object) -> dict[str, Any]:
    """Calls an engine service of a host."""
    words = (sys.executable, "-P", "-m", "tests.support.ask", endpoint, json.dumps(request))
    found: dict[str, Any] = json.loads(hosts.ok(number, "env", f"PYTHONPATH={CHECKOUT}", *words))
    return found


async def test_an_address_moves_to_another_host_with_its_container(hosts: Hosts) -> None:
    """All but the process: what answers at the target is the kernel of the stack that waited there."""
    serve(hosts, 1, "mover", "across")
    hosts.docker(2, "run", "-d", "--label", "shoal.node=node2", "--name", "asker", "--network", "across", "busybox",
                 "sleep", "100000")  # fmt: skip
    container = hosts.docker(1, "inspect", "-f", "{{.Id}}", "mover")
    address = hosts.docker(1, "inspect", "-f", "{{.NetworkSettings.Networks.across.IPAddress}}", "mover")
    assert all(pings(hosts, asker, address) for asker in ("asker", "c1", "c3"))
    wish = {"container_id": container, "container_name": "mover", "endpoints": {"across": {}}, "standby": True}
    there = ask(hosts, 3, "network.sandbox", **wish)
    assert there["endpoints"]["across"]["ip_address"] == address
    assert answer(hosts, "asker", address) == "I am mover"
    ask(hosts, 1, "network.detach", container_id=container)
    assert not pings(hosts, "asker", address)
    ask(hosts, 1, "network.attach", container_id=container)  # thought better of it
    assert answer(hosts, "asker", address) == "I am mover"
    ask(hosts, 1, "network.detach", container_id=container)
    ask(hosts, 3, "network.attach", container_id=container)
    await until(lambda: pings(hosts, "asker", "mover"), 30)
    assert all(pings(hosts, asker, address) for asker in ("asker", "c1", "c3"))
    hosts.docker(1, "rm", "-f", "mover")  # its address stays where it is
    assert all(pings(hosts, asker, address) for asker in ("asker", "c1", "c3"))
    ask(hosts, 3, "network.release", container_id=container, keep_files=False)
    await until(lambda: "mover" not in hosts.docker(2, "network", "inspect", "across"), 30)
    hosts.docker(2, "rm", "-f", "asker")


@contextmanager
def foreign_driver(hosts: Hosts, number: int) -> Iterator[None]:
    """A driver `wire` on a host, which knows of Shoal only its published contract."""
    state = hosts.lab.plan.home(number) / "state"
    environment = {
        "SHOAL_NATS_URL": f"nats://127.0.0.1:{(state / 'broker/port').read_text().strip()}",
        "SHOAL_NKEY": str(state / "keys/network_driver.nk"),
    }
    node = (state / "node-id").read_text().strip()
    program = [sys.executable, "-P", str(CHECKOUT / "tests/support/foreign_driver.py"), node, "wire"]
    with subprocess.Popen(
        hosts.lab.host(number).command(program), env={**os.environ, **environment}, stdout=subprocess.PIPE
    ) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            driver.kill()


async def test_another_driver_takes_the_overlays_place_by_the_contract_alone(hosts: Hosts) -> None:
    assert 'plugin "wire" not found' in hosts.refused(1, "network", "create", "-d", "wire", "foreign")
    with ExitStack() as drivers:
        for number in (1, 2):
            drivers.enter_context(foreign_driver(hosts, number))
        hosts.docker(2, "network", "create", "-d", "wire", "foreign")
        for number in (1, 2):
            serve(hosts, number, f"w{number}", "foreign")
        assert answer(hosts, "w1", "w2") == "I am w2"
        assert answer(hosts, "w2", "w1") == "I am w1"
        assert "vxlan" in hosts.ok(1, "sh", "-c", "ip -d link | grep 14789")
    assert answer(hosts, "w1", "w2") == "I am w2"  # without its driver, too
    with foreign_driver(hosts, 1):  # begun anew it is told all again
        assert answer(hosts, "w1", "w2") == "I am w2"
        hosts.docker(1, "rm", "-f", "w1")
        await until(lambda: "14789" not in hosts.ok(1, "ip", "-d", "link"), 30)
    hosts.docker(1, "rm", "-f", "w2")
    await until(lambda: hosts.run(1, "docker", "network", "rm", "foreign").returncode == 0, 30)


def ask_port(hosts: Hosts, number: int, address: str, port: int) -> str:
    """Who answers HTTP at a port, asked on a host."""
    script = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 5 {address} {port} | tail -n1"
    return hosts.run(number, "sh", "-c", script).stdout.strip()


async def test_a_published_port_is_reached_at_every_host(hosts: Hosts) -> None:
    await until(lambda: ask_port(hosts, 3, "198.18.0.1", 8020) == "I am c2", 30)
    for client in ALL:
        for entry in ALL:
            assert ask_port(hosts, client, f"198.18.0.{entry}", 8020) == "I am c2", (client, entry)
        assert ask_port(hosts, client, "127.0.0.1", 8020) == "I am c2"
        inside = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 198.18.0.3 8020 | tail -n1"
        assert hosts.docker(1, "exec", f"c{client}", "sh", "-c", inside).strip() == "I am c2"


def test_a_container_sees_the_address_of_a_client_that_came_by_another_host(hosts: Hosts) -> None:
    made = namespaces.inside(Path(hosts.lab.host(3).network), socket.socket)
    with made as client:
        client.settimeout(30)
        client.connect(("198.18.0.1", 8020))
        seen = hosts.docker(2, "exec", "c2", "netstat", "-tn")
        assert f"198.18.0.3:{client.getsockname()[1]}" in seen


def test_a_port_of_the_cluster_is_one_containers(hosts: Hosts) -> None:
    run = (
        "run",
        "-d",
        "--name",
        "late",
        "--label",
        "shoal.node=node3",
        "--network",
        "across",
        "-p",
        "8020:80",
        "busybox",
    )
    said = hosts.refused(3, *run, "sleep", "100")
    assert "Bind for 0.0.0.0:8020 failed: port is already allocated in the cluster, by container c2" in said
    hosts.docker(3, "rm", "late")
    assert ask_port(hosts, 1, "198.18.0.3", 8020) == "I am c2"


def test_what_passes_on_an_encrypted_network_cannot_be_read(hosts: Hosts) -> None:
    hosts.docker(1, "network", "create", "-d", "overlay", "--opt", "encrypted", "--ipv6", "secret")
    for number in (1, 2):
        serve(hosts, number, f"s{number}", "secret")
        hosts.docker(number, "network", "connect", "across", f"s{number}")
    line = Line(hosts.lab.host(2))
    assert answer(hosts, "s1", "s2.across") == "I am s2"
    assert b"I am s2" in line.heard()
    for asker, asked in (("s1", "s2"), ("s2", "s1")):
        assert answer(hosts, asker, f"{asked}.secret") == f"I am {asked}"
    heard = line.heard()
    assert heard
    assert b"I am" not in heard
    assert b"GET /" not in heard
    assert pings(hosts, "s1", "s2.secret", "-6")
    assert "1350" in hosts.docker(2, "exec", "s2", "cat", "/sys/class/net/eth0/mtu")


async def test_an_encrypted_network_goes_on_whatever_is_killed(hosts: Hosts) -> None:
    processes = json.loads(hosts.shoal_ok(2, "status", "--json"))
    service = next(one["pid"] for one in processes if one["name"] == "network")
    before = tunnel_of(hosts.lab.host(2))
    hosts.lab.host(2).run(["kill", "-9", str(service)], {})
    assert answer(hosts, "s1", "s2.secret") == "I am s2"
    hosts.docker(
        2, "run", "--rm", "--label", "shoal.node=node2", "busybox", "true"
    )  # by the service that came after it
    assert answer(hosts, "s1", "s2.secret") == "I am s2"
    assert tunnel_of(hosts.lab.host(2)) == before
    assert seals(hosts.lab.host(2))
    if not before:  # the kernel has ESP: no process does it
        return
    os.kill(before, signal.SIGKILL)
    for asker, asked in (("s1", "s2"), ("s2", "s1")):
        await until(lambda a=asker, b=asked: answer(hosts, a, f"{b}.secret") == f"I am {b}", 60)  # type: ignore[misc]
    assert tunnel_of(hosts.lab.host(2)) not in (0, before)


def test_encryption_goes_on_with_the_containers_and_ends_with_them(hosts: Hosts) -> None:
    """As the engine of a host is stopped, alone or with that host's containers; those of other hosts go on."""
    hosts.shoal_ok(2, "down")
    assert seals(hosts.lab.host(2))
    assert pings(hosts, "s1", "s2.secret", "-4")
    hosts.shoal_ok(2, "up")
    hosts.shoal_ok(2, "down", "--containers")
    assert not seals(hosts.lab.host(2))
    assert hosts.docker(1, "inspect", "-f", "{{.State.Status}}", "s1") == "running"
    hosts.shoal_ok(2, "up")
    hosts.docker(2, "start", "c2", "s2")
    assert answer(hosts, "s1", "s2.secret") == "I am s2"


async def test_what_a_service_left_of_an_encrypted_network_is_swept(hosts: Hosts) -> None:
    """Killed when the last container's stack was gone and the network not yet left."""
    assert seals(hosts.lab.host(2))
    hosts.shoal_ok(2, "down")
    hosts.ok(2, "sh", "-c", "rm /run/shoal/network/sandboxes/*")
    hosts.docker(1, "rm", "-f", "s1")
    hosts.shoal_ok(2, "up")
    await until(lambda: not seals(hosts.lab.host(2)), 60)
    assert "shl-tunnel" not in hosts.ok(2, "ip", "link")
    for name in ("c2", "s2"):
        hosts.docker(2, "restart", "-t", "0", name)
        await until(lambda n=name: hosts.run(1, "docker", "exec", n, "true").returncode == 0, 60)  # type: ignore[misc]


def removed(hosts: Hosts) -> bool:
    """Whether the encrypted network could be removed."""
    return hosts.run(1, "docker", "network", "rm", "secret").returncode == 0


async def test_nothing_is_left_of_an_encrypted_network(hosts: Hosts) -> None:
    hosts.docker(1, "rm", "-f", "s2")
    await until(lambda: not hosts.docker(1, "network", "ls", "-q", "--filter", "name=secret") or removed(hosts), 60)
    for number in (1, 2):
        await until(lambda number=number: "shl-tunnel" not in hosts.ok(number, "ip", "link"), 60)  # type: ignore[misc]
        await until(lambda number=number: "4790" not in hosts.ok(number, "ip", "rule"), 60)  # type: ignore[misc]
        assert not seals(hosts.lab.host(number))


async def test_nothing_is_left_of_a_network_that_is_removed(hosts: Hosts) -> None:
    assert all(links(hosts, number) for number in ALL)
    hosts.docker(1, "rm", "-f", *(f"c{number}" for number in ALL))
    await until(lambda: hosts.run(3, "docker", "network", "rm", "across").returncode == 0, 60)
    await until(lambda: hosts.docker(1, "network", "ls", "-q", "--filter", "name=across") == "", 60)
    for number in ALL:
        hosts.docker(number, "network", "rm", "docker_gwbridge")
        await until(lambda number=number: "4791:" not in hosts.ok(number, "ip", "rule"), 60)  # type: ignore[misc]
    await until(lambda: not any(links(hosts, number) for number in ALL), 60)
    assert not any(hosts.ok(number, "ls", "/run/shoal/network/spanning") for number in ALL)
