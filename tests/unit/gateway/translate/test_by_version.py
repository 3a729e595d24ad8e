from __future__ import annotations

from typing import Any

import pytest

from gateway.http.version import Version
from gateway.translate.by_version import adapt, discarded
from shared.contracts.container import (
    BindOptions,
    ContainerConfig,
    EndpointSettings,
    Healthcheck,
    HostConfig,
    MountRequest,
    PortBinding,
    TmpfsOptions,
    VolumeOptions,
)
from shared.contracts.executor import CreateRequest
from shared.errors import InvalidArgument

MAC = "02:42:ac:11:00:02"
Networks = dict[str, EndpointSettings]


def make(
    minor: int, config: ContainerConfig | None = None, networks: Networks | None = None, **host: Any
) -> tuple[CreateRequest, list[str]]:
    """The request that a client of this version means."""
    asked = CreateRequest(
        config=config or ContainerConfig(image="x"),
        host_config=HostConfig(**{"network_mode": "bridge", **host}),
        networks=networks or {},
    )
    return adapt(asked, Version(1, minor))


def host_of(minor: int, **host: Any) -> HostConfig:
    return make(minor, **host)[0].host_config


def bind(**options: Any) -> MountRequest:
    return MountRequest(type="bind", source="/a", target="/b", bind_options=BindOptions(**options))


def test_what_an_old_version_does_not_know_is_ignored() -> None:
    assert [host_of(minor, auto_remove=True).auto_remove for minor in (24, 25)] == [False, True]
    assert [host_of(minor).ipc_mode for minor in (39, 40)] == ["shareable", ""]
    assert [host_of(minor, console_size=(1, 2)).console_size for minor in (41, 42)] == [(0, 0), (1, 2)]
    assert [host_of(minor, annotations={"a": "b"}).annotations for minor in (42, 43)] == [{}, {"a": "b"}]
    mounts = (bind(non_recursive=True, create_mountpoint=True),)
    found = [host_of(minor, mounts=mounts).mounts[0].bind_options for minor in (39, 41, 42)]
    assert found == [BindOptions(), BindOptions(non_recursive=True), mounts[0].bind_options]
    config = ContainerConfig(healthcheck=Healthcheck(start_interval=5))
    checks = [make(minor, config)[0].config.healthcheck for minor in (43, 44)]
    assert checks == [Healthcheck(), Healthcheck(start_interval=5)]
    networks = {"bridge": EndpointSettings(gw_priority=5)}
    assert [make(minor, networks=networks)[0].networks["bridge"].gw_priority for minor in (47, 48)] == [0, 5]
    assert [make(minor)[0].read_only_recursive for minor in (43, 44)] == [False, True]


def test_what_is_unlimited_is_no_limit() -> None:
    """The CLI sends 0 where nothing was said of processes."""
    assert [host_of(51, pids_limit=limit).pids_limit for limit in (0, -1, -7, 50)] == [None, 0, 0, 50]
    assert host_of(51, memory_swappiness=-1).memory_swappiness is None


def test_options_of_another_mount_type_are_refused_or_for_old_clients_ignored() -> None:
    mounts = (MountRequest(type="bind", source="/a", target="/b", tmpfs_options=TmpfsOptions(size_bytes=1)),)
    with pytest.raises(InvalidArgument) as caught:
        make(42, mounts=mounts)
    assert caught.value.message == 'TmpfsOptions must not be specified on mount type "bind"'
    assert host_of(41, mounts=mounts).mounts[0].tmpfs_options is None


SUBPATH = MountRequest(source="v", target="/b", volume_options=VolumeOptions(subpath="s"))


@pytest.mark.parametrize(
    ("since", "text", "asked"),
    [
        (44, "BindOptions.ReadOnlyForceRecursive needs", {"mounts": (bind(read_only_force_recursive=True),)}),
        (44, "Container cannot be created with multiple network endpoints: a, b",
         {"networks": {"a": EndpointSettings(), "b": EndpointSettings()}}),
        (45, "VolumeOptions.Subpath needs API v1.45", {"mounts": (SUBPATH,)}),
        (48, 'Mount type "Image" needs API v1.48', {"mounts": (MountRequest(type="image", source="i", target="/b"),)}),
    ],
)  # fmt: skip
def test_what_an_old_version_must_not_ask_for(since: int, text: str, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        make(since - 1, **asked)
    assert caught.value.message.startswith(text)
    assert make(since, **asked)[1] == []


def test_the_address_of_older_clients_goes_to_the_main_network() -> None:
    config = ContainerConfig(mac_address=MAC)
    moved, warnings = make(51, config)
    assert moved.networks == {"bridge": EndpointSettings(mac_address=MAC)}
    assert moved.config.mac_address == ""
    assert warnings[0].startswith("The container-wide MacAddress field is now deprecated.")
    assert make(43, config)[1] == []
    assert make(51, config, network_mode="host")[0].networks == {}
    with pytest.raises(InvalidArgument, match="conflicting options: mac-address and the network mode"):
        make(43, config, network_mode="host")
    with pytest.raises(InvalidArgument, match="no longer supported"):
        make(52, config)
    with pytest.raises(InvalidArgument, match="must match"):
        make(51, config, networks={"bridge": EndpointSettings(mac_address="02:42:ac:11:00:03")})
    own = {"bridge": EndpointSettings(mac_address=MAC)}
    assert [make(minor, networks=own)[0].networks["bridge"].mac_address for minor in (43, 44)] == ["", MAC]


def test_settings_of_one_interface() -> None:
    sysctls = {"net.ipv4.conf.eth0.log_martians": "1"}
    assert host_of(47, sysctls=sysctls).sysctls == sysctls
    assert host_of(48, sysctls=sysctls, network_mode="none").sysctls == sysctls
    assert host_of(48, sysctls={"net.ipv4.ip_forward": "1"}).sysctls
    with pytest.raises(InvalidArgument, match="must be supplied using driver option"):
        make(48, sysctls=sysctls)


def test_a_port_without_bindings_is_published() -> None:
    asked: dict[str, Any] = {"port_bindings": {"80/tcp": (), "81/tcp": (PortBinding(host_port="5"),)}}
    made, warnings = make(51, **asked)
    assert made.host_config.port_bindings == {"80/tcp": (PortBinding(),), "81/tcp": (PortBinding(host_port="5"),)}
    assert warnings == []
    assert make(52, **asked)[1][0].startswith("Following container port(s) have an empty list of port-bindings: 80/tcp")


def test_a_volume_driver_that_no_mount_heeds() -> None:
    mounts = (MountRequest(source="v", target="/b"),)
    assert [len(make(minor, volume_driver="d", mounts=mounts)[1]) for minor in (47, 48)] == [0, 1]
    own = (MountRequest(source="v", target="/b", volume_options=VolumeOptions(driver_name="e")),)
    assert make(48, volume_driver="d", mounts=own)[1] == []
    assert make(48, volume_driver="d")[1] == []


def test_what_other_systems_have() -> None:
    assert discarded({"CpuPercent": 5, "cpucount": 2}, Version(1, 51)) == [
        "linux does not support CPU percent. Percent discarded.",
        "linux does not support CPU count. Count discarded.",
    ]
    assert discarded({"CpuPercent": 0, "IOMaximumIOps": 0}, Version(1, 51)) == []
    for name in ("IOMaximumBandwidth", "IOMaximumIOps"):
        with pytest.raises(InvalidArgument, match="is not supported on linux"):
            discarded({name: 1}, Version(1, 51))


def test_what_kernels_had() -> None:
    assert [len(discarded({"KernelMemory": 5}, Version(1, minor))) for minor in (24, 41, 42)] == [1, 1, 0]
    assert [len(discarded({"KernelMemoryTCP": 5}, Version(1, minor))) for minor in (39, 40, 51, 52)] == [0, 1, 1, 0]
    with pytest.raises(InvalidArgument, match=r"HostConfig\.Capabilities field is not supported"):
        discarded({"Capabilities": ["x"]}, Version(1, 40))
    assert discarded({"Capabilities": ["x"]}, Version(1, 41)) == []
