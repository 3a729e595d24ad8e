from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.executor.domain import lifecycle
from services.executor.domain.recovery import (
    Action,
    Adopt,
    AutoRemove,
    Bury,
    DropWorkload,
    ForgetName,
    LetGo,
    Observed,
    Recorded,
    RecordExit,
    RecordLoss,
    Refreeze,
    ReleaseSandbox,
    Restart,
    RestoreName,
    Retry,
    plan,
)
from services.executor.domain.status import held
from shared.contracts.container import ContainerConfig, ContainerSpec, ContainerStatus, HostConfig, RestartPolicy
from shared.contracts.platform import Workload

ALWAYS = RestartPolicy(name="always")
RUNNING = ContainerStatus(state="running", runs=1, pid=5, started_at=10)
EXITED = ContainerStatus(state="exited", runs=1, started_at=10, finished_at=20)


def spec(container_id: str = "c", name: str = "web", **asked: Any) -> ContainerSpec:
    return ContainerSpec(
        id=container_id, name=name, created=1, config=ContainerConfig(), host_config=HostConfig(**asked)
    )


def planned(
    status: ContainerStatus | None, workload: Workload | None = None, *, started: bool = False, **asked: Any
) -> list[Action]:
    """The plan for one container `c` with its name in order."""
    recorded = Recorded(
        specs={"c": spec(**asked)},
        statuses={"c": status} if status else {},
        placed=frozenset({"c"}),
        names={"web": "c"},
    )
    workloads = {"c": workload} if workload else {}
    return list(plan(recorded, Observed(workloads=workloads, engine_started=started)))


def test_nothing_to_do() -> None:
    assert plan(Recorded(), Observed()) == ()
    assert planned(RUNNING, Workload(id="c", state="running")) == []
    assert planned(EXITED) == []
    assert planned(ContainerStatus()) == []
    assert planned(None) == []


def test_what_ended_while_nobody_looked() -> None:
    assert planned(RUNNING, Workload(id="c", state="stopped", exit_code=3, exited_at=30)) == [RecordExit("c")]
    assert planned(RUNNING) == [RecordLoss("c")]
    assert planned(RUNNING, Workload(id="c", state="created")) == [RecordLoss("c")]


def test_what_the_host_took_down_comes_back_by_its_policy() -> None:
    assert planned(RUNNING, started=True, restart_policy=ALWAYS) == [RecordLoss("c"), Restart("c")]
    assert planned(RUNNING, started=True) == [RecordLoss("c")]
    assert planned(RUNNING, restart_policy=ALWAYS) == [RecordLoss("c")]
    stopped = ContainerStatus(state="running", runs=1, stopped_by_user=True)
    assert planned(stopped, started=True, restart_policy=RestartPolicy(name="unless-stopped")) == [RecordLoss("c")]


def test_starts_that_nobody_wrote_down() -> None:
    assert planned(ContainerStatus(), Workload(id="c", state="running")) == [Adopt("c")]
    assert planned(EXITED, Workload(id="c", state="paused")) == [Adopt("c")]
    assert planned(EXITED, Workload(id="c", state="stopped", started_at=25, exited_at=30)) == [Adopt("c")]


def test_remains_of_a_run() -> None:
    assert planned(EXITED, Workload(id="c", state="stopped", exited_at=20)) == [DropWorkload("c")]
    assert planned(ContainerStatus(), Workload(id="c", state="created")) == [DropWorkload("c")]


def test_paused_or_not() -> None:
    assert planned(RUNNING, Workload(id="c", state="paused")) == [Refreeze("c")]
    assert planned(held(RUNNING), Workload(id="c", state="paused")) == [LetGo("c")]
    assert planned(held(RUNNING), Workload(id="c", state="running")) == [Refreeze("c")]


def test_half_made_and_half_removed() -> None:
    for recorded in (
        Recorded(placed=frozenset({"c"})),
        Recorded(statuses={"c": EXITED}),
        Recorded(placed=frozenset({"c"}), statuses={"c": RUNNING}),
    ):
        assert plan(recorded, Observed()) == (Bury("c"),)
    assert plan(Recorded(names={"web": "c"}), Observed()) == (ForgetName("web", "c"), Bury("c"))
    assert planned(ContainerStatus(state="removing", runs=1)) == [Bury("c")]


def test_what_belongs_to_nobody() -> None:
    observed = Observed(workloads={"x": Workload(id="x", state="running")}, sandboxes=frozenset({"y"}))
    assert plan(Recorded(), observed) == (DropWorkload("x"), ReleaseSandbox("y"))


def test_a_sandbox_of_what_does_not_run() -> None:
    recorded = Recorded(specs={"c": spec()}, statuses={"c": EXITED}, names={"web": "c"})
    assert plan(recorded, Observed(sandboxes=frozenset({"c"}))) == (ReleaseSandbox("c"),)


def test_names_of_a_broken_off_rename() -> None:
    recorded = Recorded(specs={"c": spec()}, statuses={"c": EXITED}, names={"web": "c", "old": "c"})
    assert plan(recorded, Observed()) == (ForgetName("old", "c"),)
    unnamed = Recorded(specs={"c": spec()}, statuses={"c": EXITED})
    assert plan(unnamed, Observed()) == (RestoreName("c"),)


@pytest.mark.parametrize(
    ("status", "asked", "started", "actions"),
    [
        (ContainerStatus(state="restarting", runs=1), {"restart_policy": ALWAYS}, False, [Retry("c")]),
        (ContainerStatus(state="restarting", runs=1), {"restart_policy": ALWAYS}, True, [Restart("c")]),
        (EXITED, {"restart_policy": ALWAYS}, True, [Restart("c")]),
        (EXITED, {"restart_policy": ALWAYS}, False, []),
        (ContainerStatus(), {"restart_policy": ALWAYS}, True, []),
        (EXITED, {"auto_remove": True}, False, [AutoRemove("c")]),
        (ContainerStatus(), {"auto_remove": True}, False, []),
        (ContainerStatus(), {"auto_remove": True}, True, [AutoRemove("c")]),
    ],
)
def test_policies(status: ContainerStatus, asked: dict[str, Any], started: bool, actions: list[Action]) -> None:
    assert planned(status, started=started, **asked) == actions


ids = st.sampled_from(["a", "b", "c"])
statuses = st.builds(
    ContainerStatus,
    state=st.sampled_from(["created", "running", "paused", "restarting", "removing", "exited", "dead"]),
    runs=st.integers(0, 2),
    finished_at=st.integers(0, 3),
    stopped_by_user=st.booleans(),
)
workloads = st.builds(
    Workload,
    id=st.just(""),
    state=st.sampled_from(["created", "running", "paused", "stopped"]),
    exited_at=st.integers(0, 3),
)
hosts = st.builds(
    HostConfig,
    auto_remove=st.booleans(),
    restart_policy=st.builds(RestartPolicy, name=st.sampled_from(["no", "always", "on-failure", "unless-stopped"])),
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Recorded, Observed]:
    specs = {
        container_id: ContainerSpec(
            id=container_id, name=f"name-{container_id}", created=1, config=ContainerConfig(), host_config=draw(hosts)
        )
        for container_id in draw(st.sets(ids))
    }
    recorded = Recorded(
        specs=specs,
        statuses=draw(st.dictionaries(ids, statuses)),
        placed=frozenset(draw(st.sets(ids))),
        names=draw(st.dictionaries(st.sampled_from(["name-a", "name-b", "other"]), ids)),
    )
    present = {key: Workload(id=key, **{f: getattr(w, f) for f in ("state", "exited_at")})
               for key, w in draw(st.dictionaries(ids, workloads)).items()}  # fmt: skip
    observed = Observed(workloads=present, sandboxes=frozenset(draw(st.sets(ids))), engine_started=draw(st.booleans()))
    return recorded, observed


@settings(max_examples=500)
@given(worlds())
def test_any_world_has_a_plan_that_leaves_nothing_unexplained(world: tuple[Recorded, Observed]) -> None:
    recorded, observed = world
    actions = plan(recorded, observed)
    by_id: dict[str, list[type[Action]]] = {}
    for action in actions:
        by_id.setdefault(action.id, []).append(type(action))

    for container_id in set(observed.workloads) - set(recorded.specs):
        assert {Bury, DropWorkload} & set(by_id[container_id]), "a process without a container ends"
    for container_id in observed.sandboxes - set(recorded.specs):
        assert {Bury, ReleaseSandbox} & set(by_id[container_id]), "a network stack without a container goes"
    for container_id, status in recorded.statuses.items():
        workload = observed.workloads.get(container_id)
        alive = workload is not None and workload.state in ("running", "paused")
        says_alive = status.state in lifecycle.ALIVE
        if container_id in recorded.specs and says_alive and not alive:
            assert {RecordExit, RecordLoss} & set(by_id[container_id]), "an end is recorded"
        if container_id in recorded.specs and alive and says_alive:
            assert Bury not in by_id.get(container_id, []), "what runs goes on"
            assert DropWorkload not in by_id.get(container_id, []), "what runs goes on"
        if container_id not in recorded.specs:
            assert Bury in by_id[container_id], "what has no spec is finished off"
    for kinds in by_id.values():
        assert len({Adopt, RecordExit, RecordLoss, DropWorkload} & set(kinds)) <= 1
        assert not {Restart, AutoRemove} <= set(kinds)
