from __future__ import annotations

import msgspec

from services.executor.domain.defaults import MASKED_PATHS, READONLY_PATHS, with_defaults
from shared.contracts.container import HostConfig
from shared.contracts.platform import HostInfo
from tests.support.simulators.host.platform import HOST


def adapted(info: HostInfo = HOST, **asked: object) -> HostConfig:
    known = {"web": "w" * 64}
    return with_defaults(HostConfig(**asked), info, known.get)  # type: ignore[arg-type]


def test_what_a_plain_container_gets() -> None:
    made = adapted()
    assert made.network_mode == "bridge"
    assert made.ipc_mode == "private"
    assert made.cgroupns_mode == "private"
    assert made.shm_size == 64 << 20
    assert made.masked_paths == MASKED_PATHS
    assert made.readonly_paths == READONLY_PATHS
    assert made.runtime == "crun"
    assert made.security_opt == ()


def test_memory_brings_as_much_swap() -> None:
    assert adapted(memory=8 << 20).memory_swap == 16 << 20
    assert adapted(memory=8 << 20, memory_swap=-1).memory_swap == -1


def test_the_users_values_stay() -> None:
    made = adapted(shm_size=1, ipc_mode="host", runtime="runc", masked_paths=(), readonly_paths=("/x",))
    assert (made.shm_size, made.runtime, made.masked_paths, made.readonly_paths) == (1, "runc", (), ("/x",))
    assert made.security_opt == ("label=disable",)


def test_privileged_masks_nothing() -> None:
    made = adapted(privileged=True)
    assert made.masked_paths is None
    assert made.readonly_paths is None
    assert made.cgroupns_mode == "private"
    assert adapted(msgspec.structs.replace(HOST, cgroup_version="1"), privileged=True).cgroupns_mode == "host"


def test_names_of_joined_containers_become_ids() -> None:
    made = adapted(network_mode="container:web", pid_mode="container:web", ipc_mode="container:nobody")
    assert made.network_mode == made.pid_mode == "container:" + "w" * 64
    assert made.ipc_mode == "container:nobody"


def test_a_label_of_the_users_is_enough() -> None:
    assert adapted(privileged=True, security_opt=("label=type:x",)).security_opt == ("label=type:x",)
