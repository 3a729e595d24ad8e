"""The routing mesh, decided."""

from __future__ import annotations

import ipaddress
from typing import Any

from services.network.domain import mesh
from shared.contracts.container import PortBinding
from shared.contracts.network import EndpointRecord

HOSTS = {"n1": "198.18.0.1", "n2": "198.18.0.2", "n3": "198.18.0.3"}
A = ipaddress.ip_address


def endpoint(id: str = "e", node: str = "n2", **more: Any) -> EndpointRecord:
    given: dict[str, Any] = {
        "network_id": "net", "container_id": f"c-{id}", "container_name": f"name-{id}",
        "mac_address": "02:42:0a:00:01:02",
        "ipv4_address": "10.0.1.2/24", "ipv6_address": "fd00::2/64", "meshed": {"8080/tcp": 80},
    }  # fmt: skip
    return EndpointRecord(id=id, node=node, **(given | more))


def test_ports_of_one_number_at_no_certain_address_are_meshed() -> None:
    asked = {
        "80/tcp": (PortBinding(host_port="8080"), PortBinding(host_ip="127.0.0.1", host_port="8081")),
        "81/tcp": (PortBinding(host_port=""), PortBinding(host_port="0"), PortBinding(host_port="9000-9010")),
        "53/udp": (PortBinding(host_ip="::", host_port="5353/udp"), PortBinding(host_ip="0.0.0.0", host_port="5354")),
    }
    assert mesh.published(asked) == {"8080/tcp": 80, "5353/udp": 53, "5354/udp": 53}
    assert mesh.published({}) == {}


def test_hosts_of_others_lead_to_the_containers_host_and_its_own_to_the_bridge() -> None:
    plan = mesh.plan([endpoint()], "n1", HOSTS, {})
    assert set(plan.peers) == {"n2", "n3"}
    assert plan.targets == {
        address: mesh.Target(address, "n2") for address in (A("10.0.1.2"), A("fd00::2"))
    }  # fmt: skip
    own = mesh.plan([endpoint()], "n2", HOSTS, {})
    assert own.targets[A("10.0.1.2")] == mesh.Target(A("10.0.1.2"), None, "net", "02:42:0a:00:01:02")
    moved = mesh.plan([endpoint(node="n3")], "n1", HOSTS, {})
    assert (moved.ports.keys(), moved.targets[A("10.0.1.2")].peer) == (plan.ports.keys(), "n3")


def test_without_meshed_ports_there_is_no_mesh() -> None:
    assert mesh.plan([endpoint(meshed={})], "n1", HOSTS, {}) == mesh.Mesh()
    assert mesh.elements(mesh.Mesh(), "link", []) == frozenset()


def test_nobody_is_led_to_a_host_that_is_not_known() -> None:
    plan = mesh.plan([endpoint(node="gone")], "n1", HOSTS, {})
    assert not plan.targets
    found = mesh.elements(plan, "link", plan.ports)
    assert not any(place.startswith(("mesh4", "mesh6", "meshed", "mesh_ports")) for place, _ in found)


def test_what_the_firewall_has_of_it() -> None:
    plan = mesh.plan([endpoint()], "n1", HOSTS, {"n2": 7})
    found = mesh.elements(plan, "shl-mesh", [("tcp", 8080)])
    assert {
        ("mesh_link", '"shl-mesh"'),
        ("mesh_peers", f"{mesh.mac('n2')} : 0x700000"),
        ("mesh_ports", "tcp . 8080"),
        ("mesh4", "tcp . 8080 : 10.0.1.2 . 80"),
        ("mesh6", "tcp . 8080 : fd00::2 . 80"),
        ("meshed4", "10.0.1.2 . tcp . 80"),
        ("meshed6", "fd00::2 . tcp . 80"),
        ("mesh_home", "198.18.0.2 . 10.0.1.2"),
    } <= found
    closed = mesh.elements(plan, "shl-mesh", [])
    assert ("mesh4", "tcp . 8080 : 10.0.1.2 . 80") not in closed, "taken by something else on this host"
    assert ("meshed4", "10.0.1.2 . tcp . 80") in closed
    assert not any(place.startswith("mesh_here") for place, _ in found), "it is elsewhere"
    own = mesh.elements(mesh.plan([endpoint(node="n1")], "n1", HOSTS, {}), "shl-mesh", [("tcp", 8080)])
    assert {("mesh_here4", "tcp . 8080 : 10.0.1.2 . 80"), ("mesh_here6", "tcp . 8080 : fd00::2 . 80")} <= own


def test_hosts_keep_their_numbers() -> None:
    assert mesh.numbers({}, ["b", "a"]) == {"a": 1, "b": 2}
    assert mesh.numbers({"a": 1, "b": 2}, ["b", "c"]) == {"b": 2, "c": 3}, "that of one that left is not taken at once"
    assert mesh.numbers({"b": 2}, ["b", "c"]) == {"b": 2, "c": 1}


def test_hosts_beyond_what_marks_tell_apart_have_no_number() -> None:
    nodes = [f"n{number:04}" for number in range(mesh.MOST_HOSTS + 2)]
    found = mesh.numbers({nodes[-1]: 5}, nodes)
    assert len(found) == len(set(found.values())) == mesh.MOST_HOSTS
    assert found[nodes[-1]] == 5
    plan = mesh.plan([endpoint(node=nodes[-2])], "n", dict.fromkeys(nodes, "198.18.0.1"), {nodes[-1]: 5})
    assert len(plan.peers) == mesh.MOST_HOSTS
    assert not plan.targets, "nobody is led to a host without one"


def test_what_comes_from_another_host_is_known() -> None:
    there, here = mesh.plan([endpoint()], "n1", HOSTS, {}), mesh.plan([endpoint(node="n1")], "n1", HOSTS, {})
    assert mesh.come(there, here) == [A("10.0.1.2"), A("fd00::2")]
    assert mesh.come(here, there) == mesh.come(here, here) == mesh.come(mesh.Mesh(), here) == []


def test_of_two_that_came_at_once_all_hosts_choose_the_same() -> None:
    both = [endpoint("e1"), endpoint("e2", ipv4_address="10.0.1.3/24")]
    assert mesh.meshed(both) == mesh.meshed(both[::-1])
    assert mesh.meshed(both)["tcp", 8080].id == "e1"
    assert mesh.meshed([endpoint(meshed={"nonsense": 1, "80/ftp": 2})]) == {}


def test_a_port_that_another_container_has_is_taken() -> None:
    taken = mesh.taken(["80/tcp", "8080/tcp"], "me", [endpoint()])
    assert taken is not None
    assert (taken[0], taken[1].container_name) == ("8080/tcp", "name-e")
    assert mesh.taken(["8080/tcp"], "c-e", [endpoint()]) is None, "its own, on the host that it leaves"
    assert mesh.taken(["8080/udp"], "me", [endpoint()]) is None


def test_a_hosts_names_in_the_mesh_are_its_own() -> None:
    assert mesh.mac("n1") != mesh.mac("n2")
    assert mesh.mac("n1").startswith("02:")
    assert len(mesh.mac("n1")) == 17
    assert mesh.hop("n1") in ipaddress.ip_network("fe80::/64")
    assert mesh.hop("n1") != mesh.hop("n2")
