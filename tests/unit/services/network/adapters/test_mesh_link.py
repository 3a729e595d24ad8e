"""The routing mesh's interface, routes and rules, asked of the kernel."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from services.network.adapters import mesh_link, rtrules, sysctl
from services.network.adapters.mesh_link import MeshLink
from services.network.domain import mesh
from shared.contracts.network import EndpointRecord
from tests.support.host_network import own_host

HOSTS = {"n1": "198.18.0.1", "n2": "198.18.0.2", "n3": "198.18.0.3"}


@pytest.fixture
def link() -> Iterator[MeshLink]:
    with own_host():
        for words in ("link add eth0 type veth peer name other", "addr add 198.18.0.1/24 dev eth0", "link set eth0 up",
                      "link add br-net type bridge", "link set br-net up"):  # fmt: skip
            said(words)
        made = MeshLink("t-mesh", "n1", lambda: ipaddress.ip_address("198.18.0.1"), lambda network: f"br-{network}")
        yield made
        made.close()


def said(words: str) -> str:
    return subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True).stdout


def plan(node: str, hosts: dict[str, str] = HOSTS, **more: Any) -> mesh.Mesh:
    record = EndpointRecord(
        id="e", network_id="net", container_id="c", container_name="c", node=node, mac_address="02:42:0a:00:01:02",
        ipv4_address="10.0.1.2/24", ipv6_address="fd00::2/64", meshed={"8080/tcp": 80},
    )  # fmt: skip
    return mesh.plan([record], "n1", hosts, {"n2": 1, "n3": 2})


def targets() -> str:
    """Routes to containers; nothing where the kernel has no such table."""
    shown = subprocess.run(
        ["ip", "route", "show", "table", str(mesh_link.TARGETS)], capture_output=True, text=True, check=False
    )
    return shown.stdout


def test_clients_are_passed_on_to_the_containers_host(link: MeshLink) -> None:
    link.apply(plan("n2"), 1450)
    assert f"10.0.1.2 via inet6 {mesh.hop('n2')} dev t-mesh" in targets()
    assert f"fd00::2 via {mesh.hop('n2')} dev t-mesh" in said(f"-6 route show table {mesh_link.TARGETS}")
    assert f"{mesh.hop('n3')} dev t-mesh" in said("route show table 48002"), "and answers to where they came from"
    assert f"{mesh.hop('n2')} dev t-mesh lladdr {mesh.mac('n2')} PERMANENT" in said("neigh show dev t-mesh").replace(
        f"{mesh.hop('n2')} lladdr", f"{mesh.hop('n2')} dev t-mesh lladdr"
    )
    assert "fwmark 0x100000/0xfff00000 lookup 48001" in said("rule")
    assert f"vxlan id {mesh.VNI}" in said("-d link show t-mesh")


def test_at_its_own_host_and_when_it_moves(link: MeshLink) -> None:
    link.apply(plan("n1"), 1450)
    assert "10.0.1.2 dev br-net" in targets()
    assert "02:42:0a:00:01:02 PERMANENT" in said("neigh show 10.0.1.2 dev br-net")
    link.apply(plan("n3"), 1450)
    assert f"10.0.1.2 via inet6 {mesh.hop('n3')} dev t-mesh" in targets()
    assert not said("neigh show 10.0.1.2 dev br-net")


def test_a_bridge_that_is_still_to_come_is_looked_for_again(link: MeshLink) -> None:
    said("link del br-net")
    link.apply(plan("n1"), 1450)
    assert "10.0.1.2" not in targets()
    said("link add br-net type bridge")
    said("link set br-net up")
    link.apply(plan("n1"), 1450)
    assert "10.0.1.2 dev br-net" in targets()


def test_nothing_is_left_of_it(link: MeshLink) -> None:
    link.apply(plan("n2"), 1450)
    link.apply(plan("n2", {node: address for node, address in HOSTS.items() if node != "n3"}), 1450)
    assert "48002" not in said("rule")
    for _ in range(2):
        link.apply(mesh.Mesh(), 1450)
    for family in ("-4", "-6"):
        assert "0xfff00000" not in said(f"{family} rule")
    assert "t-mesh" not in said("link")
    assert not targets()


def test_another_service_goes_on_with_what_it_finds(link: MeshLink) -> None:
    link.apply(plan("n2"), 1450)
    index = socket.if_nametoindex("t-mesh")
    later = MeshLink("t-mesh", "n1", lambda: ipaddress.ip_address("198.18.0.1"), lambda network: f"br-{network}")
    later.apply(plan("n2"), 1450)
    assert socket.if_nametoindex("t-mesh") == index
    later.close()


def test_nothing_is_left_by_a_service_that_was_killed(link: MeshLink) -> None:
    link.apply(plan("n2"), 1450)
    later = MeshLink("t-mesh", "n1", lambda: ipaddress.ip_address("198.18.0.1"), lambda network: f"br-{network}")
    later.apply(mesh.Mesh(), 1450)
    later.close()
    for family in ("-4", "-6"):
        assert "0xfff00000" not in said(f"{family} rule")
    assert "t-mesh" not in said("link")


def test_nothing_is_left_of_what_failed_half_done(link: MeshLink, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(rtrules, "route", raising)
        with pytest.raises(OSError, match="nobody routes"):
            link.apply(plan("n2"), 1450)
    assert "t-mesh" in said("link")
    link.apply(mesh.Mesh(), 1450)
    assert "t-mesh" not in said("link")
    assert "0xfff00000" not in said("rule")


def raising(*arguments: object) -> NoReturn:
    raise OSError("nobody routes")


def test_the_reverse_path_is_not_asked_for(link: MeshLink) -> None:
    for whole, expected in (("0", "0"), ("1", "2")):
        sysctl.write("ipv4/conf/all/rp_filter", whole)
        mesh_link.loosen("br-net")
        assert sysctl.read("ipv4/conf/br-net/rp_filter") == expected


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_that_is_held_is_no_programs(link: MeshLink, address: str) -> None:
    said("link set lo up")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        number = server.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            mesh_link.hold("tcp", number)
        other = mesh_link.hold("udp", number)
    held = mesh_link.hold("tcp", number)
    with pytest.raises(OSError, match="in use"):
        socket.create_server((address, number), family=family)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, number))
    for each in (other, held):
        assert each is not None
        each.close()
    socket.create_server((address, number), family=family).close()
