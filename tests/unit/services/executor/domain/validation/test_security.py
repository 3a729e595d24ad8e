from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain.validation.security import (
    SecurityOptions,
    check_devices,
    check_security,
    check_sysctls,
    parse_security_options,
)
from shared.contracts.container import DeviceMapping, DeviceRequest, HostConfig
from shared.errors import InvalidArgument


@pytest.mark.parametrize(
    ("options", "parsed"),
    [
        ((), SecurityOptions()),
        (("no-new-privileges",), SecurityOptions(no_new_privileges=True)),
        (("no-new-privileges:false",), SecurityOptions()),
        (("no-new-privileges=true",), SecurityOptions(no_new_privileges=True)),
        (("seccomp=unconfined",), SecurityOptions(seccomp="unconfined")),
        (("seccomp=builtin",), SecurityOptions()),
        (("seccomp:unconfined", "apparmor=x"), SecurityOptions(seccomp="unconfined", apparmor="x")),
        (("label=disable", "disable"), SecurityOptions(labels=("disable", "disable"))),
        (("writable-cgroups",), SecurityOptions(writable_cgroups=True)),
    ],
)
def test_parse(options: tuple[str, ...], parsed: SecurityOptions) -> None:
    assert parse_security_options(options) == parsed


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("fish", 'invalid --security-opt 1: "fish"'),
        ("fish=1", 'invalid --security-opt 2: "fish=1"'),
        ("no-new-privileges=maybe", 'invalid --security-opt 2: "no-new-privileges=maybe"'),
        ("seccomp={", "Decoding seccomp profile failed: "),
        ("seccomp=[]", "Decoding seccomp profile failed: not an object"),
    ],
)
def test_refused_options(option: str, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_security(HostConfig(security_opt=(option,)))
    assert caught.value.message.startswith(text)


def test_capabilities() -> None:
    check_security(HostConfig(cap_add=("ALL", "net_admin", "CAP_SYS_PTRACE"), cap_drop=("all",)))
    with pytest.raises(InvalidArgument) as caught:
        check_security(HostConfig(cap_drop=("fly",)))
    assert caught.value.message == 'invalid CapDrop: unknown capability: "CAP_FLY"'


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"devices": (DeviceMapping(path_on_host="null"),)}, "null is not an absolute path"),
        (
            {"devices": (DeviceMapping(path_on_host="/dev/null", cgroup_permissions="x"),)},
            'invalid device permissions: "x"',
        ),
        ({"device_cgroup_rules": ("c 1:3",)}, "invalid device cgroup rule format: 'c 1:3'"),
        (
            {"device_requests": (DeviceRequest(count=-1, capabilities=(("gpu",),)),)},
            'could not select device driver "" with capabilities: [[gpu]]',
        ),
    ],
)
def test_refused_devices(asked: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_devices(HostConfig(**asked))
    assert caught.value.message == text


def test_devices() -> None:
    check_devices(HostConfig(devices=(DeviceMapping(path_on_host="/dev/null"),), device_cgroup_rules=("c *:3 rwm",)))


@pytest.mark.parametrize("name", ["net.ipv4.ip_forward", "kernel.shmmax", "fs.mqueue.msg_max", "kernel.domainname"])
def test_sysctls_of_ones_own_namespaces(name: str) -> None:
    check_sysctls(HostConfig(sysctls={name: "1"}))
    with pytest.raises(InvalidArgument, match="not allowed in host"):
        check_sysctls(HostConfig(sysctls={name: "1"}, network_mode="host", ipc_mode="host", uts_mode="host"))


@pytest.mark.parametrize("name", ["vm.swappiness", "kernel.panic", "../x", "", "net/ipv4"])
def test_sysctls_of_the_host(name: str) -> None:
    with pytest.raises(InvalidArgument, match="sysctl"):
        check_sysctls(HostConfig(sysctls={name: "1"}))


@given(st.lists(st.text(max_size=12), max_size=3).map(tuple))
def test_any_options_are_parsed_or_refused(options: tuple[str, ...]) -> None:
    try:
        assert isinstance(parse_security_options(options), SecurityOptions)
    except InvalidArgument:
        pass
