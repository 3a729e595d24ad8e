from __future__ import annotations

from typing import Any

import pytest

from services.executor.domain.validation.modes import check_modes, is_user_defined, joined
from shared.contracts.container import ContainerConfig, HostConfig, PortBinding
from shared.errors import InvalidArgument

JOIN = "container:web"


def test_joined() -> None:
    assert joined("container:web") == "web"
    assert joined("container:") == ""
    assert joined("container") is None
    assert joined("host") is None


def test_is_user_defined() -> None:
    modes = ("", "default", "bridge", "host", "none", "container:x", "web")
    assert [mode for mode in modes if is_user_defined(mode)] == ["web"]


@pytest.mark.parametrize(
    ("config", "asked", "text"),
    [
        ({}, {"network_mode": "container:"}, "invalid network mode: invalid container format container:<name|id>"),
        ({}, {"network_mode": "container"}, "invalid network mode: invalid container format container:<name|id>"),
        ({"hostname": "h"}, {"network_mode": JOIN}, "conflicting options: hostname and the network mode"),
        ({}, {"network_mode": JOIN, "dns": ("1.1.1.1",)}, "conflicting options: dns and the network mode"),
        (
            {},
            {"network_mode": JOIN, "extra_hosts": ("a:1.1.1.1",)},
            "conflicting options: custom host-to-IP mapping and the network mode",
        ),
        (
            {},
            {"network_mode": JOIN, "port_bindings": {"80/tcp": (PortBinding(),)}},
            "conflicting options: port publishing and the container type network mode",
        ),
        (
            {},
            {"network_mode": JOIN, "publish_all_ports": True},
            "conflicting options: port publishing and the container type network mode",
        ),
        (
            {"exposed_ports": {"80/tcp": {}}},
            {"network_mode": JOIN},
            "conflicting options: port exposing and the container type network mode",
        ),
        ({"hostname": "h"}, {"uts_mode": "host"}, "conflicting options: hostname and the UTS mode"),
        (
            {},
            {"network_mode": "host", "links": ("a:b",)},
            "conflicting options: host type networking can't be used with links. "
            "This would result in undefined behavior",
        ),
        ({}, {"isolation": "hyperv"}, "invalid isolation (hyperv): linux only supports 'default'"),
        ({}, {"ipc_mode": "x"}, "invalid IPC mode: x"),
        ({}, {"pid_mode": "container:"}, "invalid PID mode: container:"),
        ({}, {"uts_mode": "x"}, "invalid UTS mode: x"),
        ({}, {"userns_mode": "x"}, "invalid user namespace mode: x"),
        ({}, {"cgroupns_mode": "x"}, "invalid cgroup namespace mode: x"),
    ],
)
def test_refused_in_dockers_words(config: dict[str, Any], asked: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_modes(ContainerConfig(**config), HostConfig(**asked))
    assert caught.value.message == text


def test_usable_modes() -> None:
    for mode in ("", "none", "private", "host", "shareable", JOIN):
        check_modes(ContainerConfig(), HostConfig(ipc_mode=mode))
    check_modes(ContainerConfig(), HostConfig(network_mode=JOIN, pid_mode="host", uts_mode="host", userns_mode="host"))
