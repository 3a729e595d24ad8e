from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.version import Version
from gateway.translate.create import console_size, create_request, exec_request, member, parse_platform
from shared.contracts.common import Platform
from shared.contracts.container import EndpointSettings, PortBinding, RestartPolicy, Ulimit, VolumeOptions
from shared.errors import InvalidArgument

V51 = Version(1, 51)


def make(host: dict[str, Any] | None = None, version: Version = V51, **config: Any) -> Any:
    return create_request({"Image": "busybox", **config, "HostConfig": host}, "n", "", version)[0]


def test_the_usual_fields() -> None:
    made = make(
        {
            "Binds": ["/a:/b:ro"],
            "PortBindings": {"80/tcp": [{"HostPort": "8080"}]},
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
            "Memory": 64 << 20,
            "NanoCpus": 500_000_000,
        },
        Cmd=["sleep", "1"],
        Env=["A=b"],
        Labels={"l": "v"},
    )
    assert (made.name, made.config.image, made.config.cmd) == ("n", "busybox", ("sleep", "1"))
    assert made.host_config.port_bindings == {"80/tcp": (PortBinding(host_port="8080"),)}
    assert made.host_config.restart_policy == RestartPolicy(name="on-failure", maximum_retry_count=2)
    assert (made.host_config.memory, made.host_config.nano_cpus) == (64 << 20, 500_000_000)


def test_without_a_host_config_its_members_may_stand_beside_the_config() -> None:
    assert make(None, Runtime="runc", Memory=64 << 20).host_config.runtime == "runc"
    assert make({"Memory": 64 << 20}, Runtime="runc").host_config.runtime == ""


def test_a_limit_that_is_left_out_is_0() -> None:
    """docker-py's `Ulimit(name="core", soft=0)` sends null for the hard one."""
    made = make({"Ulimits": [{"Name": "core", "Soft": 0, "Hard": None}, {"Name": "nofile", "Hard": 9}]})
    assert made.host_config.ulimits == (Ulimit(name="core", soft=0, hard=0), Ulimit(name="nofile", soft=0, hard=9))


def test_a_command_may_be_one_string() -> None:
    made = make(Cmd="true", Entrypoint="sh")
    assert (made.config.cmd, made.config.entrypoint) == (("true",), ("sh",))


@pytest.mark.parametrize("mode", [None, "", "default"])
def test_default_is_this_platforms_default_network(mode: str | None) -> None:
    data = {
        "Image": "x",
        "HostConfig": {"NetworkMode": mode},
        "NetworkingConfig": {"EndpointsConfig": {"default": {"Aliases": ["a"]}, "other": None}},
    }
    made, _ = create_request(data, "", "", V51)
    assert made.host_config.network_mode == "bridge"
    assert made.networks == {"bridge": EndpointSettings(aliases=("a",)), "other": EndpointSettings()}


def test_driver_options_of_a_mount() -> None:
    mount = {"Type": "volume", "Target": "/t", "VolumeOptions": {"DriverConfig": {"Name": "d", "Options": {"o": "v"}}}}
    made = make({"Mounts": [mount]})
    assert made.host_config.mounts[0].volume_options == VolumeOptions(driver_name="d", driver_options={"o": "v"})


@pytest.mark.parametrize("data", [None, {}])
def test_an_empty_body_is_refused(data: dict[str, Any] | None) -> None:
    with pytest.raises(InvalidArgument, match="config cannot be empty in order to create a container"):
        create_request(data, "", "", V51)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"Image": 5}, "Config.Image: Expected `str`, got `int`"),
        ({"HostConfig": []}, "HostConfig: Expected"),
        ({"HostConfig": {"Memory": "1g"}}, "HostConfig.Memory: Expected `int`"),
        (
            {"HostConfig": {"BlkioDeviceReadBps": [{"Path": "/a"}]}},
            "BlkioDeviceReadBps[0]: Object missing required field",
        ),
        ({"NetworkingConfig": {"EndpointsConfig": []}}, "EndpointsConfig"),
        ({"NetworkingConfig": {"EndpointsConfig": {"x": 5}}}, "EndpointSettings"),
        ({"Env": "A=b"}, "Config.Env: Expected `array`"),
        ({"Cmd": 5}, "Config.Cmd"),
    ],
)
def test_wrong_types_are_refused_with_their_field(data: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        create_request({"Image": "x", **data}, "", "", V51)
    assert text in caught.value.message


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/arm64/v8", Platform(architecture="arm64", variant="v8")),
        ("linux/x86_64", Platform()),
        ("aarch64", Platform(architecture="arm64")),
        ("linux", Platform()),
        ("Linux/AMD64", Platform()),
    ],
)
def test_platforms(text: str, platform: Platform) -> None:
    assert parse_platform(text) == platform


@given(st.text())
def test_no_platform_does_more_than_be_refused(text: str) -> None:
    with suppress(InvalidArgument):
        assert parse_platform(text).os


def test_an_exec_needs_a_command() -> None:
    empty: tuple[dict[str, Any] | None, ...] = (None, {}, {"Cmd": []}, {"Cmd": None})
    for data in empty:
        with pytest.raises(InvalidArgument, match="No exec command specified"):
            exec_request("c", data, V51)


def test_an_exec() -> None:
    made = exec_request("c", {"Cmd": "id", "AttachStdout": True, "Id": "x", "ConsoleSize": [24, 80]}, V51)
    assert (made.id, made.cmd, made.attach_stdout, made.console_size) == ("c", ("id",), True, (24, 80))


@pytest.mark.parametrize("value", [[1], [1, -2], ["a", 2], 5, [1, 2, 3], [True, 2], [1 << 32, 1]])
def test_other_console_sizes_are_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="ConsoleSize"):
        console_size({"ConsoleSize": value}, V51)
    assert console_size({"ConsoleSize": value}, Version(1, 41)) == (0, 0)


def test_members_in_any_case() -> None:
    assert member({"hostconfig": 1}, "HostConfig") == 1
    assert member({}, "HostConfig") is None


def test_one_word_is_a_system_or_an_architecture() -> None:
    assert parse_platform("linux") == Platform(os="linux")
    assert parse_platform("aarch64") == Platform(architecture="arm64")
    with pytest.raises(InvalidArgument) as caught:
        parse_platform("foo")
    assert caught.value.message == '"foo": unknown operating system or architecture: invalid argument'
