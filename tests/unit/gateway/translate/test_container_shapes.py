from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.translate.container_shapes import CONFIG, ENDPOINT, HOST_CONFIG, MOUNT_POINT, MOUNT_REQUEST
from shared.contracts.container import (
    ContainerConfig,
    EndpointSettings,
    HostConfig,
    MountPoint,
    MountRequest,
    PortBinding,
    Ulimit,
    VolumeOptions,
)


def test_empty_objects_are_shown_as_a_container_of_the_cli_has_them() -> None:
    shown = msgspec.json.decode(msgspec.json.encode(HOST_CONFIG.dump(HostConfig())))
    assert shown["Binds"] is None
    assert shown["CapAdd"] is None
    assert shown["ExtraHosts"] is None
    assert shown["Dns"] == []
    assert shown["Devices"] == []
    assert shown["Ulimits"] == []
    assert shown["PortBindings"] == {}
    assert shown["LogConfig"] == {"Type": "json-file", "Config": {}}
    assert shown["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
    assert not {"Init", "Mounts", "Sysctls", "Tmpfs", "StorageOpt", "Annotations"} & set(shown)


def test_an_empty_config() -> None:
    shown = CONFIG.dump(ContainerConfig())
    assert shown["Cmd"] is None
    assert shown["Env"] is None
    assert shown["Labels"] == {}
    assert not {"Healthcheck", "StopSignal", "StopTimeout", "Shell", "ExposedPorts"} & set(shown)


def test_an_empty_endpoint() -> None:
    shown = ENDPOINT.dump(EndpointSettings())
    assert shown["IPAMConfig"] is None
    assert shown["Aliases"] is None
    assert shown["IPAddress"] == ""


def test_a_mount_point_leaves_out_what_it_has_not() -> None:
    assert "Name" not in MOUNT_POINT.dump(MountPoint(type="bind", destination="/x", source="/y"))


@given(st.text(), st.dictionaries(st.text(), st.text()), st.booleans(), st.text())
def test_volume_options_come_back(driver: str, options: dict[str, str], no_copy: bool, subpath: str) -> None:
    value = MountRequest(
        target="/t",
        volume_options=VolumeOptions(driver_name=driver, driver_options=options, no_copy=no_copy, subpath=subpath),
    )
    shown = msgspec.json.decode(msgspec.json.encode(MOUNT_REQUEST.dump(value)))
    assert MOUNT_REQUEST.load(shown) == value


HOST = st.builds(
    HostConfig,
    binds=st.lists(st.text(), max_size=2).map(tuple),
    memory=st.integers(0, 1 << 62),
    init=st.one_of(st.none(), st.booleans()),
    pids_limit=st.one_of(st.none(), st.integers(1, 1000)),
    console_size=st.tuples(st.integers(0, 99), st.integers(0, 99)),
    sysctls=st.dictionaries(st.text(), st.text(), max_size=2),
    port_bindings=st.dictionaries(
        st.text(),
        st.lists(st.builds(PortBinding, host_ip=st.text(), host_port=st.text()), max_size=2).map(tuple),
        max_size=2,
    ),
    ulimits=st.lists(st.builds(Ulimit, name=st.text(), soft=st.just(1), hard=st.just(2)), max_size=2).map(tuple),
)


@given(HOST)
def test_a_host_config_comes_back(value: HostConfig) -> None:
    shown = msgspec.json.decode(msgspec.json.encode(HOST_CONFIG.dump(value)))
    assert HOST_CONFIG.load(shown) == value
