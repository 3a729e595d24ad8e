"""IPv6 and dual stack, macvlan, configurations of networks, containers that come and go, as clients see them."""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import IMAGE, Engine
from tests.support.namespaces import socket_in

pytestmark = pytest.mark.shoal_only


def make(engine: Engine, name: str, **more: Any) -> dict[str, Any]:
    """A network, as clients newer than the one installed can ask for it."""
    answer = engine.call("POST", "/networks/create", {"Name": name, **more})
    assert answer.status == 201, answer.body
    found: dict[str, Any] = engine.call("GET", f"/networks/{name}").json
    return found


def endpoint(engine: Engine, container: str, network: str) -> dict[str, Any]:
    found: dict[str, Any] = engine.inspect(container)["NetworkSettings"]["Networks"][network]
    return found


def client_of(engine: Engine, container: str, address: tuple[str, int]) -> str:
    """Whom a server on port 80 of the container sees when the host connects to an address."""
    namespace = Path(f"/proc/{engine.inspect(container)['State']['Pid']}/ns/net")
    with socket_in(namespace, socket.SOCK_STREAM, socket.AF_INET6) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("::", 80))
        server.listen()
        with engine.connect(address), server.accept()[0] as inside:
            seen = ip_address(inside.getpeername()[0])
            return str(getattr(seen, "ipv4_mapped", None) or seen)


def test_dual_stack_with_a_static_address(engine: Engine) -> None:
    engine.ok("network", "create", "--ipv6", "--subnet", "10.91.0.0/24", "--subnet", "fd91::/64", "n6")
    engine.start("--name", "web", "--network", "n6", "--ip6", "fd91::77", IMAGE, "sleep", "1000")
    found = endpoint(engine, "web", "n6")
    assert (found["GlobalIPv6Address"], found["GlobalIPv6PrefixLen"]) == ("fd91::77", 64)
    assert found["IPv6Gateway"] == "fd91::1"
    assert "inet6 fd91::77/64" in engine.ok("exec", "web", "ip", "-6", "addr", "show", "eth0")
    assert "default via fd91::1" in engine.ok("exec", "web", "ip", "-6", "route")
    assert "fd91::77\t" in engine.ok("exec", "web", "cat", "/etc/hosts")
    shown = engine.call("GET", "/networks/n6").json
    assert shown["EnableIPv6"]
    assert [each["IPv6Address"] for each in shown["Containers"].values()] == ["fd91::77/64"]
    answer = engine.run("--network", "n6", IMAGE, "nslookup", "-type=aaaa", "web")
    assert "fd91::77" in answer


def test_a_pool_of_unique_local_addresses(engine: Engine) -> None:
    shown = make(engine, "n6", EnableIPv6=True)
    subnets = [ip_network(each["Subnet"]) for each in shown["IPAM"]["Config"]]
    assert {each.version for each in subnets} == {4, 6}
    assert any(each.version == 6 and each.prefixlen == 64 and each.is_private for each in subnets)


def test_ipv6_alone(engine: Engine) -> None:
    make(engine, "n6", EnableIPv4=False, EnableIPv6=True, IPAM={"Config": [{"Subnet": "fd92::/64"}]})
    engine.start("--name", "web", "--network", "n6", "-p", "18080:80", IMAGE, "sleep", "1000")
    found = endpoint(engine, "web", "n6")
    assert (found["IPAddress"], found["Gateway"], found["GlobalIPv6Address"]) == ("", "", "fd92::2")
    assert "inet " not in engine.ok("exec", "web", "ip", "addr", "show", "eth0")
    assert client_of(engine, "web", ("::1", 18080)) == "fd92::1"


def test_published_on_both_families(engine: Engine) -> None:
    make(
        engine,
        "n6",
        EnableIPv6=True,
        IPAM={"Config": [{"Subnet": "10.93.0.0/24"}, {"Subnet": "fd93::/64"}]},
    )
    engine.start("--name", "web", "--network", "n6", "-p", "18081:80", "-p", "[::1]:18082:80", IMAGE, "sleep", "1000")
    published = engine.inspect("web")["NetworkSettings"]["Ports"]["80/tcp"]
    assert {(each["HostIp"], each["HostPort"]) for each in published} == {
        ("0.0.0.0", "18081"),
        ("::", "18081"),
        ("::1", "18082"),
    }
    assert client_of(engine, "web", ("127.0.0.1", 18081)) == "10.93.0.1"
    assert client_of(engine, "web", ("fd93::1", 18081)) == "fd93::1"
    assert client_of(engine, "web", ("::1", 18082)) == "fd93::1"
    with pytest.raises(ConnectionRefusedError):
        engine.connect(("127.0.0.1", 18082))


def test_macvlan_on_a_parent_of_its_own(engine: Engine) -> None:
    make(engine, "lan", Driver="macvlan", IPAM={"Config": [{"Subnet": "10.94.0.0/24"}, {"Subnet": "10.95.0.0/24"}]})
    engine.start("--name", "one", "--network", "lan", "-p", "18083:80", IMAGE, "sleep", "1000")
    assert engine.inspect("one")["NetworkSettings"]["Ports"] == {}, "nothing is published there"
    engine.start("--name", "two", "--network", "lan", "--ip", "10.94.0.9", IMAGE, "sleep", "1000")
    assert endpoint(engine, "two", "lan")["IPAddress"] == "10.94.0.9"
    engine.ok("exec", "one", "ping", "-c", "1", "-W", "5", "two")


def test_a_configuration_is_taken_by_another_network(engine: Engine) -> None:
    engine.ok("network", "create", "--config-only", "--subnet", "10.96.0.0/24", "settings")
    engine.ok("network", "create", "--config-from", "settings", "taken")
    shown = engine.call("GET", "/networks/taken").json
    assert shown["ConfigFrom"] == {"Network": "settings"}
    assert shown["IPAM"]["Config"][0]["Subnet"] == "10.96.0.0/24"
    refused = engine.call("DELETE", "/networks/settings")
    assert (refused.status, refused.message) == (
        403,
        'error while removing network: configuration network "settings" is in use',
    )


def test_connected_while_it_runs(engine: Engine) -> None:
    engine.ok("network", "create", "--ipv6", "--subnet", "10.97.0.0/24", "--subnet", "fd97::/64", "late")
    engine.start("--name", "web", IMAGE, "sleep", "1000")
    engine.start("--name", "other", "--network", "late", IMAGE, "sleep", "1000")
    engine.ok("network", "connect", "--ip", "10.97.0.9", "--ip6", "fd97::9", "--alias", "api", "late", "web")
    found = endpoint(engine, "web", "late")
    assert (found["IPAddress"], found["GlobalIPv6Address"]) == ("10.97.0.9", "fd97::9")
    assert "api" in found["Aliases"]
    engine.ok("exec", "other", "ping", "-c", "1", "-W", "5", "api")
    engine.ok("network", "disconnect", "late", "web")
    assert "late" not in engine.inspect("web")["NetworkSettings"]["Networks"]
    assert "eth1" not in engine.ok("exec", "web", "ls", "/sys/class/net")
