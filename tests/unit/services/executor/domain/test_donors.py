from __future__ import annotations

import pytest

from services.executor.domain import donors
from shared.contracts.container import ContainerConfig, ContainerSpec, ContainerStatus, HostConfig, State
from shared.errors import Conflict, InvalidArgument, ShoalError


def spec(ipc_mode: str = "private") -> ContainerSpec:
    return ContainerSpec(
        id="d" * 64, name="db", created=1, config=ContainerConfig(), host_config=HostConfig(ipc_mode=ipc_mode)
    )


def test_a_running_container_can_be_joined() -> None:
    status = ContainerStatus(state="running", pid=5)
    for kind in ("network", "pid", "ipc"):
        donor = donors.checked(kind, "j", "db", spec("shareable"), status)
        assert (donor.spec.name, donor.status.pid) == ("db", 5)


@pytest.mark.parametrize(
    ("kind", "state", "kinds", "text"),
    [
        (
            "network", "exited", Conflict,
            "cannot join network namespace of a non running container: container db is exited",
        ),
        (
            "network", "restarting", Conflict,
            "cannot join network namespace of container: "
            "Container db is restarting, wait until the container is running",
        ),
        ("pid", "created", Conflict, "failed to join PID namespace: container db is not running"),
        ("ipc", "exited", Conflict, "failed to join IPC namespace: container db is not running"),
        ("ipc", "running", InvalidArgument,
         "failed to join IPC namespace: container db: non-shareable IPC "
         "(hint: use IpcMode:shareable for the donor container)"),
    ],
)  # fmt: skip
def test_refusals(kind: str, state: State, kinds: type[ShoalError], text: str) -> None:
    with pytest.raises(kinds) as caught:
        donors.checked(kind, "j", "db", spec(), ContainerStatus(state=state))
    assert caught.value.message == text


def test_no_container_joins_itself() -> None:
    with pytest.raises(Conflict, match="cannot join own network namespace"):
        donors.checked("network", "d" * 64, "db", spec(), ContainerStatus(state="running"))


def test_a_missing_container() -> None:
    missing = donors.missing("network", "x")
    assert isinstance(missing, Conflict)
    assert missing.message == "joining network namespace of container: No such container: x"
    missing = donors.missing("pid", "x")
    assert isinstance(missing, InvalidArgument)
    assert missing.message == "failed to join PID namespace: No such container: x"
    unnamed = 'failed to join IPC namespace: invalid name or ID supplied: ""'
    assert donors.missing("ipc", "").message == unnamed
