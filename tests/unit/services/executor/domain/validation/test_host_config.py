from __future__ import annotations

from typing import Any

import msgspec
import pytest

from services.executor.domain.validation import Host, check_host_config
from shared.contracts.container import HostConfig, MountRequest, RestartPolicy
from shared.errors import InvalidArgument
from tests.support.simulators.host.platform import HOST


def host(**features: bool) -> Host:
    return Host(msgspec.structs.replace(HOST, features=features), lambda path: path == "/there")


def policy(name: str, count: int = 0) -> RestartPolicy:
    return RestartPolicy(name=name, maximum_retry_count=count)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (
            {"auto_remove": True, "restart_policy": policy("always")},
            "can't create 'AutoRemove' container with restart policy",
        ),
        (
            {"restart_policy": policy("sometimes")},
            "invalid restart policy: unknown policy 'sometimes'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
        ),
        (
            {"restart_policy": policy("always", 3)},
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
        (
            {"restart_policy": policy("no", -3)},
            "invalid restart policy: maximum retry count can only be used with 'on-failure' and cannot be negative",
        ),
        (
            {"restart_policy": policy("on-failure", -1)},
            "invalid restart policy: maximum retry count cannot be negative",
        ),
        (
            {"mounts": (MountRequest(type="bind", source="/x", target="/y"),)},
            'invalid mount config for type "bind": bind source path does not exist: /x',
        ),
        ({"tmpfs": {"/": ""}}, "invalid specification: destination can't be '/'"),
        ({"tmpfs": {"x": ""}}, "invalid mount path: 'x' mount path must be absolute"),
        ({"shm_size": -1}, "SHM size can not be less than 0"),
        ({"oom_score_adj": 2000}, "Invalid value 2000, range for oom score adj is [-1000, 1000]"),
        ({"runtime": "fish"}, "unknown or invalid runtime name: fish"),
        (
            {"annotations": {"": "x"}},
            "invalid Annotations: the empty string is not permitted as an annotation key",
        ),
    ],
)
def test_refused_in_dockers_words(asked: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_host_config(HostConfig(**asked), host())
    assert caught.value.message == text


def test_a_shared_control_group_is_kept_and_said_to_be_none() -> None:
    made, warnings = check_host_config(HostConfig(cgroup="container:x"), host())
    assert made.cgroup == "container:x"
    assert warnings == ["HostConfig.Cgroup (container:x) has no effect: every container has a control group of its own"]


def test_warnings() -> None:
    asked = HostConfig(network_mode="host", port_bindings={"80/tcp": ()})
    assert check_host_config(asked, host())[1] == ["Published ports are discarded when using host network mode"]
    forwarding = check_host_config(HostConfig(), host(ipv4_forwarding=False))[1]
    assert forwarding == ["IPv4 forwarding is disabled. Networking will not work."]


def test_a_plain_container_passes_unchanged() -> None:
    made, warnings = check_host_config(HostConfig(restart_policy=policy("")), host())
    assert made == HostConfig()
    assert warnings == []
    bind = MountRequest(type="bind", source="/there", target="/x")
    assert check_host_config(HostConfig(mounts=(bind,), runtime="runc"), host())[0].mounts == (bind,)
