from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translate.listing import Criteria, check, includes, port_range, prunable, volumes_in_use
from shared.contracts.container import (
    ContainerConfig,
    ContainerSpec,
    ContainerStatus,
    EndpointSettings,
    Health,
    HostConfig,
    MountPoint,
    PortBinding,
)
from shared.errors import InvalidArgument

SPEC = ContainerSpec(
    id="ab" * 32,
    name="web",
    created=100,
    config=ContainerConfig(labels={"a": "b"}),
    host_config=HostConfig(),
    networks={"un": EndpointSettings(network_id="deadbeef")},
    image_id="sha256:1",
    mounts=(
        MountPoint(type="volume", name="v", source="/s/v", destination="/d"),
        MountPoint(type="bind", source="/host", destination="/h"),
    ),
)
RUNNING = ContainerStatus(
    state="running",
    started_at=1,
    health=Health(status="healthy"),
    ports={"80/tcp": (PortBinding(host_port="8080"),), "90/udp": None},
)
EXITED = ContainerStatus(state="exited", exit_code=3, started_at=1, finished_at=2)


@pytest.mark.parametrize(
    ("filters", "shown"),
    [
        ({"name": ("we",)}, True),
        ({"name": ("^/web$",)}, True),
        ({"name": ("x",)}, False),
        ({"id": ("abab",)}, True),
        ({"id": ("cd",)}, False),
        ({"label": ("a", "a=b")}, True),
        ({"label": ("a=c",)}, False),
        ({"status": ("running", "paused")}, True),
        ({"status": ("exited",)}, False),
        ({"health": ("healthy",)}, True),
        ({"health": ("none",)}, False),
        ({"volume": ("v",)}, True),
        ({"volume": ("/d",)}, True),
        ({"volume": ("/host",)}, True),
        ({"volume": ("x",)}, False),
        ({"network": ("un",)}, True),
        ({"network": ("dead",)}, True),
        ({"network": ("bridge",)}, False),
        ({"publish": ("8080",)}, True),
        ({"publish": ("80",)}, False),
        ({"expose": ("80-90/udp",)}, True),
        ({"expose": ("81/tcp",)}, False),
        ({"is-task": ("false",)}, True),
        ({"is-task": ("true",)}, False),
        ({"isolation": ("default",)}, True),
        ({"isolation": ("hyperv",)}, True),  # Docker looks at it on Windows only
        ({"name": ("web",), "label": ("x",)}, False),
    ],
)
def test_filters(filters: dict[str, tuple[str, ...]], shown: bool) -> None:
    check(filters)
    assert includes(SPEC, RUNNING, Criteria(filters=filters)) is shown


def test_what_does_not_run_is_on_a_network_by_its_name() -> None:
    asked: dict[str, tuple[str, ...]] = {"network": ("deadbe",)}
    spec = msgspec.structs.replace(SPEC, networks={"un": EndpointSettings()})
    for networks, shown in ((frozenset({"un"}), True), (frozenset({"other"}), False)):
        assert includes(spec, EXITED, Criteria(filters=asked, all=True, networks=networks)) is shown


def test_what_does_not_run_is_shown_when_asked_for() -> None:
    assert not includes(SPEC, EXITED, Criteria())
    assert includes(SPEC, EXITED, Criteria(all=True))
    assert includes(SPEC, EXITED, Criteria(limit=1))
    assert includes(SPEC, EXITED, Criteria(filters={"status": ("exited",)}))
    assert includes(SPEC, EXITED, Criteria(all=True, filters={"exited": ("3",)}))
    assert not includes(SPEC, EXITED, Criteria(all=True, filters={"exited": ("0",)}))
    assert not includes(SPEC, ContainerStatus(), Criteria(all=True, filters={"exited": ("0",)}))


def test_before_since_and_ancestor() -> None:
    assert includes(SPEC, RUNNING, Criteria(filters={"before": ("x",)}, before=101))
    assert not includes(SPEC, RUNNING, Criteria(filters={"before": ("x",)}, before=100))
    assert includes(SPEC, RUNNING, Criteria(filters={"since": ("x",)}, since=99))
    assert not includes(SPEC, RUNNING, Criteria(filters={"since": ("x",)}, since=100))
    assert includes(SPEC, RUNNING, Criteria(filters={"ancestor": ("x",)}, images=frozenset({"sha256:1"})))
    assert not includes(SPEC, RUNNING, Criteria(filters={"ancestor": ("x",)}, images=frozenset()))


@pytest.mark.parametrize(
    "filters",
    [
        {"foo": ()},
        {"status": ("foo",)},
        {"health": ("foo",)},
        {"exited": ("x",)},
        {"publish": ("1:2",)},
        {"expose": ("70000",)},
        {"expose": ("9-8",)},
        {"is-task": ("maybe",)},
    ],
)
def test_wrong_filters_are_refused(filters: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(InvalidArgument):
        check(filters)


@given(st.text())
def test_ports_are_read_or_refused(text: str) -> None:
    with suppress(InvalidArgument):
        low, high, protocol = port_range("publish", text)
        assert 0 <= low <= high <= 65535
        assert protocol


def test_pruning() -> None:
    assert prunable(SPEC, EXITED, {}, None)
    assert not prunable(SPEC, RUNNING, {}, None)
    assert prunable(SPEC, EXITED, {"label": ("a",)}, 101)
    assert not prunable(SPEC, EXITED, {"label!": ("a",)}, None)
    assert not prunable(SPEC, EXITED, {}, 100)


def test_volumes_and_who_has_them() -> None:
    assert volumes_in_use((SPEC, SPEC)) == {"v": (SPEC.id, SPEC.id)}
