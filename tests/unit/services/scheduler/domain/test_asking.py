from __future__ import annotations

from typing import Any

import pytest

from services.scheduler.domain.asking import ask_of, load_of
from services.scheduler.domain.facts import Ask, Bond, Load
from shared.contracts.common import Platform
from shared.contracts.container import ContainerConfig, EndpointSettings, HostConfig, MountRequest, PortBinding
from shared.contracts.executor import CreateRequest
from shared.errors import InvalidArgument, NotFound, Unavailable


class Known:
    """Node `n1` has all that is called after it; `n2` has a copy of the volume."""

    def __init__(self, *unseen: str) -> None:
        self._unseen = unseen

    def unseen(self) -> tuple[str, ...]:
        return self._unseen

    def hosts_called(self, name: str) -> frozenset[str]:
        return frozenset(("n1",)) if name == "node1" else frozenset()

    def host_of(self, container: str) -> str:
        return {"web": "n1", "db": "n2"}.get(container, "")

    def with_volume(self, name: str) -> frozenset[str]:
        return frozenset(("n1", "n2")) if name == "data" else frozenset()

    def with_network(self, name: str) -> frozenset[str]:
        return frozenset(("n1",)) if name in ("back", "wide") else frozenset()

    def spans(self, name: str) -> bool:
        return name in ("wide", "everywhere")

    def with_image(self, image_id: str) -> frozenset[str]:
        return frozenset(("n2",))


def asked(labels: dict[str, str] | None = None, networks: tuple[str, ...] = (), **host: Any) -> Ask:
    request = CreateRequest(
        config=ContainerConfig(image="i", labels=labels or {}),
        host_config=HostConfig(**host),
        networks={name: EndpointSettings() for name in networks},
    )
    return ask_of(request, "sha256:1", Platform(architecture="arm64"), Known())


def bond(text: str, *hosts: str, apart: bool = False) -> Bond:
    return Bond(frozenset(hosts), text, apart)


def test_a_plain_container_may_go_anywhere() -> None:
    assert asked() == Ask(architecture="arm64", image=frozenset(("n2",)))
    assert asked(network_mode="host", networks=("bridge",), binds=("/a:/b",)).bonds == ()


@pytest.mark.parametrize(
    ("config", "load"),
    [
        ({"memory": 10}, Load(memory=10)),
        ({"memory": 10, "memory_reservation": 4}, Load(memory=4)),
        ({"nano_cpus": 5}, Load(cpus=5)),
        ({"cpu_quota": 50_000}, Load(cpus=500_000_000)),
        ({"cpu_quota": 50_000, "cpu_period": 25_000}, Load(cpus=2_000_000_000)),
        ({"cpu_quota": -1, "memory": -1}, Load()),
        (
            {
                "port_bindings": {
                    "80/tcp": (PortBinding(host_port="8080"), PortBinding(host_port="")),
                    "53": (PortBinding(host_port="53"),),
                }
            },
            Load(ports=("53/tcp", "8080/tcp")),
        ),
    ],
)
def test_what_is_reserved(config: dict[str, Any], load: Load) -> None:
    assert load_of(HostConfig(**config)) == load


@pytest.mark.parametrize(
    ("host", "bonds"),
    [
        ({"network_mode": "container:web"}, [bond("no container web", "n1")]),
        (
            {"ipc_mode": "container:web", "pid_mode": "container:db"},
            [bond("no container web", "n1"), bond("no container db", "n2")],
        ),
        ({"volumes_from": ("db:ro",)}, [bond("no container db", "n2")]),
        ({"links": ("web:w",), "volumes_from": ("web",)}, [bond("no container web", "n1")]),
        ({"volumes_from": ("unknown",)}, []),
        ({"binds": ("data:/data:ro",)}, [bond("no volume data", "n1", "n2")]),
        ({"binds": ("new:/data",)}, []),
        ({"mounts": (MountRequest(source="data", target="/d"),)}, [bond("no volume data", "n1", "n2")]),
        ({"mounts": (MountRequest(type="bind", source="data", target="/d"),)}, []),
        ({"network_mode": "back"}, [bond("no network back", "n1")]),
        ({"network_mode": "unknown"}, []),
        ({"network_mode": "everywhere"}, []),
        ({"network_mode": "wide"}, [bond("another network wide", "n1", apart=True)]),
    ],
)  # fmt: skip
def test_what_it_needs_binds_it_to_where_that_is(host: dict[str, Any], bonds: list[Bond]) -> None:
    assert list(asked(**host).bonds) == bonds


@pytest.mark.parametrize(
    ("host", "labels", "bound"),
    [
        ({"binds": ("/a:/b",)}, {}, True),
        ({"mounts": (MountRequest(type="bind", source="/a", target="/d"),)}, {}, True),
        ({"port_bindings": {"80/tcp": (PortBinding(host_ip="127.0.0.1", host_port="80"),)}}, {}, True),
        ({"port_bindings": {"80/tcp": (PortBinding(host_ip="0.0.0.0", host_port="80"),)}}, {}, False),
        ({"binds": ("new:/b",), "tmpfs": {"/t": ""}}, {}, False),
        ({"binds": ("/a:/b",)}, {"shoal.node": "node1"}, False),
        ({"binds": ("/a:/b",)}, {"shoal.constraint": "node.role==hub"}, False),
        ({"binds": ("/a:/b", "data:/data")}, {}, False),
        ({"binds": ("/a:/b",)}, {"shoal.affinity": "container!=db"}, True),
    ],
)
def test_paths_and_addresses_are_those_of_the_host_that_was_asked(
    host: dict[str, Any], labels: dict[str, str], bound: bool
) -> None:
    """Unless something says where else the container is to be."""
    request = CreateRequest(config=ContainerConfig(image="i", labels=labels), host_config=HostConfig(**host))
    made = ask_of(request, "sha256:1", Platform(), Known(), "n3")
    assert (bond("not asked, whose paths or addresses it names", "n3") in made.bonds) is bound


def test_a_volume_that_may_be_on_a_host_not_heard_of_is_not_made_anew() -> None:
    def bonds(*binds: str) -> tuple[Bond, ...]:
        request = CreateRequest(config=ContainerConfig(image="i"), host_config=HostConfig(binds=binds))
        return ask_of(request, "sha256:1", Platform(), Known("node3", "node4"), "n1").bonds

    assert bonds("data:/d", "/a:/a") == (bond("no volume data", "n1"),)
    with pytest.raises(Unavailable, match="volume new may be on node3, node4, which cannot be asked now"):
        bonds("data:/d", "new:/n")


def test_a_name_is_what_the_asked_host_has_by_it() -> None:
    def made(node: str, **labels: str) -> tuple[Bond, ...]:
        config = ContainerConfig(image="i", labels={name.replace("_", "."): value for name, value in labels.items()})
        request = CreateRequest(config=config, host_config=HostConfig(binds=("data:/d",), network_mode="back"))
        return ask_of(request, "sha256:1", Platform(), Known(), node).bonds

    back = bond("no network back", "n1")
    assert made("n1") == (bond("no volume data", "n1"), back)
    assert made("n2") == (bond("no volume data", "n2"), back)
    assert made("n3") == (bond("no volume data", "n1", "n2"), back)
    assert made("n1", shoal_node="node1")[1:] == (bond("no volume data", "n1", "n2"), back)


def test_a_network_across_hosts_is_not_another_hosts_own_of_that_name() -> None:
    """Who asks the host that has the name for its own means that one."""
    request = CreateRequest(config=ContainerConfig(image="i"), host_config=HostConfig(network_mode="wide"))
    for node, expected in (
        ("n1", bond("no network wide", "n1")),
        ("n2", bond("another network wide", "n1", apart=True)),
    ):
        assert ask_of(request, "sha256:1", Platform(), Known(), node).bonds == (expected,)


def test_labels_say_where_it_may_go() -> None:
    assert asked({"shoal.node": "node1"}).bonds == (bond("scheduling constraints not satisfied", "n1"),)
    assert asked({"shoal.node": "else"}).bonds == (bond("scheduling constraints not satisfied"),)
    assert [each.key for each in asked({"shoal.constraint": "node.role==hub"}).constraints] == ["node.role"]
    both = asked({"shoal.affinity": "container==web, container!=db,container!=unknown"}).bonds
    assert both == (bond("no container web", "n1"), bond("container db", "n2", apart=True))
    assert asked(networks=("back",)).bonds == (bond("no network back", "n1"),)
    for wrong in ("image==x", "container=web", "container==", "web"):
        with pytest.raises(InvalidArgument, match="invalid affinity"):
            asked({"shoal.affinity": wrong})
    with pytest.raises(NotFound, match="No such container: unknown"):
        asked({"shoal.affinity": "container==unknown"})
