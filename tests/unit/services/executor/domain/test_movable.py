from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain.movable import (
    Claim,
    Drop,
    Forget,
    Go,
    Make,
    Tell,
    bound_by,
    control_group,
    settle,
    wanted,
)
from shared.contracts.container import (
    ContainerConfig,
    ContainerSpec,
    ContainerStatus,
    HostConfig,
    MountPoint,
    PortBinding,
    RestartPolicy,
)
from shared.contracts.movable import MovableRecord

ALWAYS = RestartPolicy(name="always")
HERE, THERE = "here", "there"
Local = tuple[ContainerSpec, ContainerStatus]


def spec(generation: int = 1, labels: Mapping[str, str] | None = None, **host: Any) -> ContainerSpec:
    config = msgspec.structs.replace(HostConfig(restart_policy=ALWAYS), **host)
    return ContainerSpec(
        id="c", name="n", created=1, generation=generation, host_config=config,
        config=ContainerConfig(labels=dict(labels or {})),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "host"),
    [
        ("", {}),
        ("", {"restart_policy": RestartPolicy(name="on-failure")}),
        ("", {"port_bindings": {"80/tcp": (PortBinding(host_ip="0.0.0.0", host_port="80"),)}}),
        ("no restart policy", {"restart_policy": RestartPolicy()}),
        ("an address of its host", {"port_bindings": {"80/tcp": (PortBinding(host_ip="127.0.0.1"),)}}),
        ("the host's devices", {"privileged": True}),
        ("namespaces of its host", {"network_mode": "host"}),
        ("namespaces of its host", {"pid_mode": "container:x"}),
        ("links to other containers", {"links": ("a:b",)}),
    ],
)
def test_what_binds_a_container_to_its_host(reason: str, host: dict[str, Any]) -> None:
    assert bound_by(spec(**host)) == reason


def test_files_of_the_host_bind_and_tmpfs_does_not() -> None:
    for kind, reason in (("tmpfs", ""), ("volume", "files of its host"), ("bind", "files of its host")):
        assert bound_by(msgspec.structs.replace(spec(), mounts=(MountPoint(type=kind, destination="/d"),))) == reason


def test_a_label_keeps_it_where_it_is() -> None:
    assert bound_by(spec(labels={"shoal.failover": "Off"})) == "label shoal.failover"
    assert bound_by(spec(labels={"shoal.failover": "on"})) == ""


def test_its_control_group_is_below_the_parent() -> None:
    assert control_group(spec(), "shoal") == "/shoal/c"
    assert control_group(spec(cgroup_parent="/a/../b/"), "shoal") == "/a/b/c"


states = st.sampled_from(["created", "running", "paused", "restarting", "exited"])
statuses = st.builds(lambda state, fenced: ContainerStatus(state=state, fenced=fenced and state == "restarting"),
                     states, st.booleans())  # fmt: skip
locals_ = st.dictionaries(st.sampled_from("abcde"), st.tuples(st.integers(0, 3).map(spec), statuses))
records = st.dictionaries(
    st.sampled_from("abcde"),
    st.builds(
        MovableRecord, node=st.sampled_from([HERE, THERE, ""]), spec=st.integers(1, 3).map(spec),
        wanted=st.booleans(), removed=st.booleans(), left=st.sampled_from([(), (HERE,), (THERE,), (HERE, THERE)]),
    ),
)  # fmt: skip


@given(locals_, records)
def test_settled_once_all_agrees(local: dict[str, Local], known: dict[str, MovableRecord]) -> None:
    """What is carried out leaves nothing to carry out, no container on two hosts, and none that is wanted on none."""
    before = dict(known)
    for action in settle(HERE, local, known):
        match action:
            case Drop():
                local.pop(action.id, None)
                record = known[action.id]
                known[action.id] = msgspec.structs.replace(record, left=tuple(set(record.left) - {HERE}))
            case Claim() | Tell() | Go():
                own, status = local[action.id]
                now = ContainerStatus(state="running") if isinstance(action, Go) else status
                local[action.id] = (own, now)
                known[action.id] = MovableRecord(node=HERE, spec=own, wanted=wanted(now))
            case Make():
                local[action.id] = (known[action.id].spec, ContainerStatus(state="running"))
            case Forget():
                del known[action.id]
    again = settle(HERE, local, known)
    assert not [action for action in again if not isinstance(action, Claim)]
    for id, record in known.items():
        if record.node != HERE or record.removed:
            assert id not in local or not local[id][0].generation
        elif record.wanted:
            assert id in local
    assert all(before[id].node == record.node for id, record in known.items() if id in before and record.node != HERE)
