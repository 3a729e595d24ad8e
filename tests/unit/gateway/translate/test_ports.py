from __future__ import annotations

from typing import Any

import pytest

from gateway.translate import ports
from shared.contracts.container import PortBinding
from shared.contracts.executor import PortsRequest
from shared.errors import InvalidArgument


def test_a_request_is_written_as_bindings_are() -> None:
    data = {"add": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}, {}], "53": None}, "Remove": {"81/tcp": []}}
    assert ports.ports_request("c1", data) == PortsRequest(
        id="c1",
        add={"80/tcp": (PortBinding(host_ip="127.0.0.1", host_port="8080"), PortBinding()), "53": ()},
        remove={"81/tcp": ()},
    )


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"Add": {}, "Remove": None},
        {"Add": []},
        {"Add": {"80/tcp": "8080"}},
        {"Add": {"80/tcp": [5]}},
        {"Add": {"80/tcp": [{"HostPort": 8080}]}},
    ],
)
def test_what_is_no_request(data: dict[str, Any] | None) -> None:
    with pytest.raises(InvalidArgument, match="invalid JSON"):
        ports.ports_request("c1", data)


def test_ports_as_inspect_shows_them() -> None:
    assert ports.show({"80/tcp": (PortBinding(host_ip="::", host_port="8080"),), "81/tcp": None}) == {
        "80/tcp": [{"HostIp": "::", "HostPort": "8080"}],
        "81/tcp": None,
    }
