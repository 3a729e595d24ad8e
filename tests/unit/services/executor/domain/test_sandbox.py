from __future__ import annotations

from services.executor.domain.sandbox import sandbox_request, wanted_networks
from shared.contracts.container import ContainerConfig, ContainerSpec, EndpointSettings, HostConfig, PortBinding


def spec(config: ContainerConfig | None = None, **asked: object) -> ContainerSpec:
    host = HostConfig(**asked)  # type: ignore[arg-type]
    return ContainerSpec(
        id="c" * 64, name="web", created=1, config=config or ContainerConfig(), host_config=host,
        networks=wanted_networks(host, {}),
    )  # fmt: skip


def test_a_network_of_ones_own() -> None:
    config = ContainerConfig(hostname="h", exposed_ports={"80": {}, "53/udp": {}})
    request = sandbox_request(
        spec(config, network_mode="bridge", port_bindings={"80": (PortBinding(host_port="8080"),)}, dns=("1.1.1.1",))
    )
    assert request is not None
    assert request.mode == "bridge"
    assert set(request.endpoints) == {"bridge"}
    assert request.exposed == ("80/tcp", "53/udp")
    assert request.publish == {"80/tcp": (PortBinding(host_port="8080"),)}
    assert (request.hostname, request.dns) == ("h", ("1.1.1.1",))


def test_host_and_none_have_no_endpoints() -> None:
    for mode in ("host", "none"):
        request = sandbox_request(spec(network_mode=mode, port_bindings={"80/tcp": (PortBinding(),)}))
        assert request is not None
        assert (request.mode, request.endpoints, request.publish) == (mode, {}, {})


def test_a_joined_network_is_not_asked_for() -> None:
    assert sandbox_request(spec(network_mode="container:x")) is None
    disabled = sandbox_request(spec(ContainerConfig(network_disabled=True), network_mode="container:x"))
    assert disabled is not None
    assert disabled.mode == "none"


def test_wanted_networks() -> None:
    given = {"default": EndpointSettings(mac_address="m"), "web": EndpointSettings()}
    assert wanted_networks(HostConfig(network_mode="bridge"), given) == {
        "bridge": EndpointSettings(mac_address="m"),
        "web": EndpointSettings(),
    }
    assert wanted_networks(HostConfig(network_mode="web"), {}) == {"web": EndpointSettings()}
    assert wanted_networks(HostConfig(network_mode="container:x"), given) == {}
