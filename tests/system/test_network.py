"""Networks as a container sees them, published ports, names."""

import contextlib
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from tests.support.engine import IMAGE, Engine, unique
from tests.support.namespaces import socket_in

SERVE = ["sh", "-c", "echo page >/tmp/index.html; exec httpd -f -p 80 -h /tmp"]


def get(engine: Engine, address: tuple[str, int]) -> bytes:
    """An HTTP page; the server in the container gets a moment to listen."""
    for _ in range(200):
        received = b""
        # Before it listens a published port refuses (as ours does) or takes and closes (as docker-proxy does).
        with contextlib.suppress(ConnectionResetError, ConnectionRefusedError), engine.connect(address) as connection:
            connection.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
            while part := connection.recv(4096):
                received += part
        if received:
            return received.rpartition(b"\r\n\r\n")[2]
        engine.docker("version")  # takes as long as a client does
    raise AssertionError(f"{address} does not answer")


def ports(engine: Engine, name: str) -> dict[str, list[dict[str, str]] | None]:
    found: dict[str, list[dict[str, str]] | None] = engine.inspect(name)["NetworkSettings"]["Ports"]
    return found


def test_none_has_loopback_only(engine: Engine) -> None:
    assert engine.run("--network", "none", IMAGE, "sh", "-c", "ifconfig | grep -o '^[a-z]*'") == "lo"
    assert "127.0.0.1" in engine.run("--network", "none", IMAGE, "ip", "-4", "addr", "show", "lo")


def test_host_shares_the_hosts_network(engine: Engine) -> None:
    hosts = engine.run("--network", "host", IMAGE, "readlink", "/proc/self/ns/net")
    assert engine.run("--network", "host", IMAGE, "readlink", "/proc/self/ns/net") == hosts
    assert engine.run(IMAGE, "readlink", "/proc/self/ns/net") != hosts


def test_bridge_gives_address_and_default_route(engine: Engine) -> None:
    identity = engine.start(IMAGE, "sleep", "100")
    network = engine.inspect(identity)["NetworkSettings"]["Networks"]["bridge"]
    address = engine.ok("exec", identity, "ip", "-4", "addr", "show", "eth0")
    assert f"inet {network['IPAddress']}/{network['IPPrefixLen']} " in address
    assert (
        engine.ok("exec", identity, "ip", "route")
        .splitlines()[0]
        .startswith(f"default via {network['Gateway']} dev eth0")
    )
    assert network["MacAddress"] in engine.ok("exec", identity, "ip", "link", "show", "eth0")
    subnet = engine.call("GET", "/networks/bridge").json["IPAM"]["Config"][0]["Subnet"]
    assert network["IPAddress"].split(".")[:2] == subnet.split(".")[:2]


def test_containers_on_the_bridge_reach_each_other(engine: Engine) -> None:
    server = engine.start(IMAGE, *SERVE)
    address = engine.inspect(server)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    script = f"until wget -q -O - http://{address}/index.html; do usleep 20000; done"
    assert engine.run(IMAGE, "sh", "-c", script) == "page"


def test_addresses_are_given_back(engine: Engine) -> None:
    for _ in range(3):
        engine.run(IMAGE, "true")
    identity = engine.start(IMAGE, "sleep", "100")
    address = engine.inspect(identity)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    engine.ok("rm", "-f", identity)
    again = engine.start(IMAGE, "sleep", "100")
    assert engine.inspect(again)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] is not None
    assert address


def test_container_mode_joins(engine: Engine) -> None:
    engine.start("--name", "owner", "--hostname", "owner-host", IMAGE, *SERVE)
    script = "until wget -q -O - http://127.0.0.1/index.html; do usleep 20000; done; hostname"
    assert engine.run("--network", "container:owner", IMAGE, "sh", "-c", script) == "page\nowner-host"
    joined = engine.start("--network", "container:owner", IMAGE, "sleep", "100")
    owner = engine.inspect("owner")["Id"]
    assert engine.inspect(joined)["HostConfig"]["NetworkMode"] == f"container:{owner}"


def test_who_joins_a_network_has_its_owners_name(engine: Engine) -> None:
    engine.start("--name", "owner", "--hostname", "box", "--domainname", "lab", IMAGE, "sleep", "100")
    engine.start("--name", "joined", "--network", "container:owner", IMAGE, "sleep", "100")
    config = engine.inspect("joined")["Config"]
    assert (config["Hostname"], config["Domainname"]) == ("box", "lab")
    for command in (["hostname"], ["sh", "-c", "echo $HOSTNAME"]):
        assert engine.ok("exec", "joined", *command) == "box"


def test_publish_a_chosen_port(engine: Engine) -> None:
    engine.start("--name", "web", "-p", "18080:80", IMAGE, *SERVE)
    assert get(engine, ("127.0.0.1", 18080)) == b"page\n"
    assert {"HostIp": "0.0.0.0", "HostPort": "18080"} in (ports(engine, "web")["80/tcp"] or [])
    assert "80/tcp -> 0.0.0.0:18080" in engine.ok("port", "web")
    assert "0.0.0.0:18080->80/tcp" in engine.ok("ps", "--format", "{{.Ports}}")


def test_publish_an_ephemeral_port(engine: Engine) -> None:
    engine.start("--name", "web", "-p", "80", IMAGE, *SERVE)
    bound = int((ports(engine, "web")["80/tcp"] or [])[0]["HostPort"])
    assert bound >= 1024
    assert get(engine, ("127.0.0.1", bound)) == b"page\n"


def test_publish_on_one_host_address(engine: Engine) -> None:
    engine.start("--name", "web", "-p", "127.0.0.1:18081:80", IMAGE, *SERVE)
    assert ports(engine, "web")["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "18081"}]
    assert get(engine, ("127.0.0.1", 18081)) == b"page\n"
    engine.start("--name", "other", "-p", "127.0.0.2:18081:80", IMAGE, *SERVE)
    assert get(engine, ("127.0.0.2", 18081)) == b"page\n"


def test_publish_ephemeral_on_one_host_address(engine: Engine) -> None:
    engine.start("--name", "web", "-p", "127.0.0.1::80", IMAGE, *SERVE)
    bound = ports(engine, "web")["80/tcp"]
    assert bound is not None
    assert [each["HostIp"] for each in bound] == ["127.0.0.1"]
    assert get(engine, ("127.0.0.1", int(bound[0]["HostPort"]))) == b"page\n"


def test_publish_a_range(engine: Engine) -> None:
    engine.start("--name", "web", "-p", "18082-18084:80-82", IMAGE, *SERVE)
    found = ports(engine, "web")
    assert {port: (bound or [{}])[0]["HostPort"] for port, bound in sorted(found.items())} == {
        "80/tcp": "18082",
        "81/tcp": "18083",
        "82/tcp": "18084",
    }
    assert get(engine, ("127.0.0.1", 18082)) == b"page\n"


def test_publish_from_a_range_of_host_ports(engine: Engine) -> None:
    engine.start("-p", "18085-18086:80", "--name", "one", IMAGE, *SERVE)
    engine.start("-p", "18085-18086:80", "--name", "two", IMAGE, *SERVE)
    assert {(ports(engine, name)["80/tcp"] or [{}])[0]["HostPort"] for name in ("one", "two")} == {"18085", "18086"}


def test_publish_udp(engine: Engine) -> None:
    """The server is a socket that the test binds in the container's network: busybox has none for UDP."""
    identity = engine.start("--name", "udp", "-p", "18090:90/udp", IMAGE, "sleep", "100")
    assert "90/udp -> 0.0.0.0:18090" in engine.ok("port", "udp")
    inside = Path(f"/proc/{engine.inspect(identity)['State']['Pid']}/ns/net")
    with (
        socket_in(inside, socket.SOCK_DGRAM) as server,
        engine.connect(("127.0.0.1", 18090), socket.SOCK_DGRAM) as client,
    ):
        server.bind(("0.0.0.0", 90))
        client.send(b"ping")
        data, sender = server.recvfrom(100)
        server.sendto(data + b" pong", sender)
        assert client.recv(100) == b"ping pong"


def test_publish_all(engine: Engine) -> None:
    engine.start("--name", "all", "-P", "--expose", "80", "--expose", "81/udp", IMAGE, *SERVE)
    assert set(ports(engine, "all")) == {"80/tcp", "81/udp"}
    assert get(engine, ("127.0.0.1", int((ports(engine, "all")["80/tcp"] or [])[0]["HostPort"]))) == b"page\n"


def test_expose_alone_publishes_nothing(engine: Engine) -> None:
    engine.start("--name", "exposed", "--expose", "80", IMAGE, *SERVE)
    assert ports(engine, "exposed") == {"80/tcp": None}
    assert engine.ok("ps", "--format", "{{.Ports}}") == "80/tcp"


def test_no_ports_are_shown_on_no_network(engine: Engine) -> None:
    name = engine.start("--expose", "90", "-p", "127.0.0.1:18081:80", IMAGE, "sleep", "1000")
    settings = engine.inspect(name)["NetworkSettings"]
    assert settings["Ports"] == {"90/tcp": None, "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18081"}]}
    engine.ok("network", "disconnect", "bridge", name)
    settings = engine.inspect(name)["NetworkSettings"]
    assert (settings["Networks"], settings["Ports"]) == ({}, {})
    engine.ok("network", "create", "--internal", internal := unique("internal"))
    engine.ok("network", "connect", internal, name)
    assert engine.inspect(name)["NetworkSettings"]["Ports"] == {}, "nor where nobody comes from outside"
    engine.ok("network", "disconnect", internal, name)
    engine.ok("network", "connect", "bridge", name)
    shown = engine.inspect(name)["NetworkSettings"]["Ports"]
    assert shown == {"90/tcp": None, "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18081"}]}


def test_published_from_another_container_by_the_gateway(engine: Engine) -> None:
    engine.start("-p", "18087:80", IMAGE, *SERVE)
    gateway = engine.call("GET", "/networks/bridge").json["IPAM"]["Config"][0]["Gateway"]
    script = f"until wget -q -O - http://{gateway}:18087/index.html; do usleep 20000; done"
    assert engine.run(IMAGE, "sh", "-c", script) == "page"


def test_a_port_is_free_after_the_end(engine: Engine) -> None:
    engine.start("--name", "web", "-p", "18088:80", IMAGE, *SERVE)
    engine.ok("rm", "-f", "web")
    with pytest.raises(ConnectionRefusedError):
        engine.connect(("127.0.0.1", 18088))
    engine.start("-p", "18088:80", IMAGE, *SERVE)
    assert get(engine, ("127.0.0.1", 18088)) == b"page\n"


def test_ports_move_with_a_restart(engine: Engine) -> None:
    engine.start("--name", "web", "-p", "18089:80", IMAGE, *SERVE)
    engine.ok("restart", "-t", "0", "web")
    assert get(engine, ("127.0.0.1", 18089)) == b"page\n"


def test_hosts_file(engine: Engine) -> None:
    identity = engine.start("--add-host", "foo:1.2.3.4", "--add-host", "six:::5", IMAGE, "sleep", "100")
    lines = [line.split() for line in engine.ok("exec", identity, "cat", "/etc/hosts").splitlines()]
    address = engine.inspect(identity)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    assert lines[0] == ["127.0.0.1", "localhost"]
    assert ["1.2.3.4", "foo"] in lines
    assert ["::5", "six"] in lines
    assert lines[-1] == [address, identity[:12]]


@pytest.mark.parametrize("arguments", [["--hostname", "a.b.c"], ["--hostname", "a", "--domainname", "b.c"]])
def test_hosts_file_tells_a_full_name_and_the_bare_one(engine: Engine, arguments: list[str]) -> None:
    assert engine.run(*arguments, IMAGE, "cat", "/etc/hosts").splitlines()[-1].split()[1:] == ["a.b.c", "a"]
    assert engine.run(*arguments, IMAGE, "hostname", "-f") == "a.b.c"


def test_host_gateway(engine: Engine) -> None:
    out = engine.run("--add-host", "outside:host-gateway", IMAGE, "grep", "outside", "/etc/hosts")
    gateway = engine.call("GET", "/networks/bridge").json["IPAM"]["Config"][0]["Gateway"]
    assert out.split() == [gateway, "outside"]


def test_resolver_options(engine: Engine) -> None:
    arguments = ["--dns", "9.9.9.9", "--dns", "8.8.4.4", "--dns-search", "example.org", "--dns-option", "ndots:2"]
    lines = engine.run(*arguments, IMAGE, "cat", "/etc/resolv.conf").splitlines()
    assert sorted(line for line in lines if line and not line.startswith("#")) == [
        "nameserver 8.8.4.4",
        "nameserver 9.9.9.9",
        "options ndots:2",
        "search example.org",
    ]


def test_network_inspect_lists_its_containers(engine: Engine) -> None:
    identity = engine.start("--name", "seen", IMAGE, "sleep", "100")
    containers = engine.call("GET", "/networks/bridge").json["Containers"]
    assert containers[identity]["Name"] == "seen"
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+/\d+", containers[identity]["IPv4Address"])


def test_predefined_networks(engine: Engine) -> None:
    found = {(each["Name"], each["Driver"], each["Scope"]) for each in engine.call("GET", "/networks").json}
    assert found == {("bridge", "bridge", "local"), ("host", "host", "local"), ("none", "null", "local")}
    result = engine.docker("network", "rm", "bridge")
    assert result.code == 1
    assert "bridge is a pre-defined network and cannot be removed" in result.err


@contextmanager
def network(engine: Engine, name: str) -> Iterator[str]:
    yield engine.ok("network", "create", name)


def test_user_network_has_a_subnet_of_its_own(engine: Engine) -> None:
    with network(engine, "own"):
        server = engine.start("--network", "own", "--name", "server", IMAGE, *SERVE)
        found = engine.inspect(server)["NetworkSettings"]["Networks"]["own"]
        subnet = engine.call("GET", "/networks/own").json["IPAM"]["Config"][0]["Subnet"]
        assert ip_address(found["IPAddress"]) in ip_network(subnet)
        script = f"until wget -q -O - http://{found['IPAddress']}/index.html; do usleep 20000; done"
        assert engine.run("--network", "own", IMAGE, "sh", "-c", script) == "page"


def test_the_network_of_a_container_that_just_ended_can_be_removed(engine: Engine) -> None:
    for number in range(5):
        name = unique("left")
        network = engine.ok("network", "create", name)
        if number % 2:
            engine.run("--network", name, IMAGE, "true")
        else:
            engine.ok("rm", "-f", engine.start("--network", name, IMAGE, "sleep", "1000"))
        assert engine.ok("network", "rm", network) == network


def test_networks_are_apart(engine: Engine) -> None:
    with network(engine, "own"):
        server = engine.start("--network", "own", IMAGE, *SERVE)
        address = engine.inspect(server)["NetworkSettings"]["Networks"]["own"]["IPAddress"]
        assert engine.docker("run", "--rm", IMAGE, "nc", "-w", "1", address, "80").code == 1


def test_uts_host(engine: Engine) -> None:
    assert engine.run("--uts", "host", IMAGE, "hostname") == socket.gethostname()


def test_unprivileged_user_may_bind_low_ports_when_told(engine: Engine) -> None:
    script = "nc -l -p 80 & usleep 100000; kill -0 $! && echo bound"
    arguments = ["-u", "alice", "--sysctl", "net.ipv4.ip_unprivileged_port_start=0"]
    assert engine.run(*arguments, IMAGE, "sh", "-c", script) == "bound"
