from __future__ import annotations

from typing import Any

import msgspec
import pytest

from services.migrator.domain import plan
from services.migrator.domain.estimate import FREEZE_MS
from services.migrator.domain.plan import Facts
from shared.contracts.common import Platform
from shared.contracts.container import (
    ContainerConfig,
    ContainerSpec,
    ContainerStatus,
    DeviceMapping,
    EndpointSettings,
    HostConfig,
    LogConfig,
    MountPoint,
)
from shared.contracts.migrator import MigrateRequest
from shared.contracts.network import NetworkSpec
from shared.contracts.scheduler import NodeRecord
from shared.contracts.volume import VolumeSpec

HERE, THERE = (
    NodeRecord(id=name, name=name, role="hub", address="a:1", joined=1, memory=1 << 30) for name in ("here", "there")
)
OVERLAY = {"net": NetworkSpec(id="n", name="net", created=1, driver="overlay", scope="global")}


def facts(**more: Any) -> Facts:
    """A running container on an overlay network, that can move; `host`, `mounts`, `state` and what a `Facts` has."""
    spec = ContainerSpec(
        id="c",
        name="web",
        created=1,
        config=ContainerConfig(),
        host_config=more.pop("host", HostConfig(network_mode="net")),
        networks=more.pop("joined", {"net": EndpointSettings()}),
        mounts=more.pop("mounts", ()),
        platform=more.pop("platform", Platform()),
    )
    status = ContainerStatus(state=more.pop("state", "running"))
    known = {"source": HERE, "target": THERE, "networks": OVERLAY, **more}
    return Facts(spec=spec, status=status, **known)


def reasons(strategy: str = "copy", **more: Any) -> list[str]:
    request = MigrateRequest(id="c", strategy=strategy)  # type: ignore[arg-type]
    return list(plan.plan(request, facts(**more)).reasons)


def volume(name: str = "data", **more: Any) -> dict[str, Any]:
    point = MountPoint(type="volume", destination="/data", name=name)
    return {"mounts": (point,), "volumes": {name: VolumeSpec(name=name, options=more.pop("options", {}))}, **more}


def test_what_nothing_ties_may_move() -> None:
    for strategy in ("copy", "post-copy", "cold"):
        assert reasons(strategy) == []
        assert reasons(strategy, **volume()) == []


@pytest.mark.parametrize(
    ("found", "more"),
    [
        ("it is on here already", {"target": HERE}),
        ("there does not answer", {"ready": False}),
        ("takes no containers", {"target": msgspec.structs.replace(THERE, availability="drain")}),
        ("cannot run linux/arm64", {"platform": Platform(architecture="arm64")}),
        ("less memory than it reserves", {"host": HostConfig(network_mode="net", memory_reservation=2 << 30)}),
        ("there has another network net", {"target_networks": frozenset(("net",))}),
        ("the mount of /etc on /x", {"mounts": (MountPoint(type="bind", destination="/x", source="/etc"),)}),
        ("devices of its host", {"host": HostConfig(network_mode="net", devices=(DeviceMapping("/dev/sda"),))}),
        ("shares the network namespace", {"host": HostConfig(network_mode="container:x"), "joined": {}}),
        ("shares the pid namespace", {"host": HostConfig(network_mode="net", pid_mode="container:x")}),
        ("container side shares its namespaces", {"joined_by": "side"}),
        ("links to other containers", {"host": HostConfig(network_mode="net", links=("a:b",))}),
        ("container side has its volume data", volume(shared={"data": "side"})),
        ("there has a volume data already", volume(target_volumes=frozenset(("data",)))),
        ("made of something on its host", volume(options={"type": "none", "o": "bind", "device": "/x"})),
        ("its volume data is not there", {**volume(), "volumes": {}}),
        ("network lan is on its host only", {"joined": {"lan": EndpointSettings()}}),
    ],
)
def test_what_ties_it_to_its_host(found: str, more: dict[str, Any]) -> None:
    told = reasons("cold", **more)
    assert len(told) == 1
    assert found in told[0]


@pytest.mark.parametrize(
    ("found", "more"),
    [
        ("uses its host's network", {"host": HostConfig(network_mode="host"), "joined": {"host": EndpointSettings()}}),
        ("address on network bridge", {"host": HostConfig(), "joined": {"bridge": EndpointSettings()}}),
        ("host's processes", {"host": HostConfig(network_mode="net", pid_mode="host")}),
        ("in its host's memory", volume(options={"type": "tmpfs", "device": "tmpfs"})),
        ("MB of memory free", {"memory": 300 << 20, "free": 200 << 20}),
        ("a terminal", {"unmovable": ("a terminal",)}),
    ],
)
def test_what_only_a_cold_move_can(found: str, more: dict[str, Any]) -> None:
    told = reasons("copy", **more)
    assert len(told) == 1
    assert found in told[0]
    assert reasons("cold", **more) == []


def test_what_everybody_keeps_need_not_move() -> None:
    assert reasons("cold", **volume(options={"type": "nfs"}, target_volumes=frozenset(("data",)))) == []
    assert not plan.is_copied(VolumeSpec(name="v", options={"type": "nfs"}))


def test_auto_weighs_by_memory_writes_and_line() -> None:
    """Post-copy only where its risk is accepted and buys something; the reason has the figures."""
    asked = MigrateRequest(id="c", accept_risk=True)
    known = {"memory": 100_000_000, "line": 100_000_000}
    assert plan.choose(asked, facts(**known, written=0)) == (
        "copy",
        "100 MB of memory, of which it writes 0 MB/s, the line carries 100 MB/s as the last move had: "
        "post-copy would stand still hardly shorter, at a risk",
    )
    strategy, why = plan.choose(asked, facts(**known, written=90_000_000))
    assert strategy == "post-copy"
    assert "copy would stand still for 1066 ms" in why
    assert plan.choose(MigrateRequest(id="c"), facts(**known, written=90_000_000))[0] == "copy"
    assert plan.choose(asked, facts(**known, written=90_000_000, strategies=("copy",)))[0] == "copy"
    assert plan.choose(asked, facts(strategies=("post-copy",)))[0] == "post-copy"
    assert "how fast it writes is not known" in plan.choose(asked, facts())[1]
    warned = plan.plan(MigrateRequest(id="c"), facts(**known, written=200_000_000)).warnings
    assert any("as fast as the line carries it" in warning for warning in warned)


def test_auto_never_stops_what_runs() -> None:
    assert plan.choose(MigrateRequest(id="c"), facts())[0] == "copy"
    assert plan.choose(MigrateRequest(id="c", accept_risk=True), facts(memory=4 << 30))[0] == "post-copy"
    assert plan.choose(MigrateRequest(id="c", strategy="copy"), facts(state="exited"))[0] == "cold"


def test_warnings_tell_what_is_lost() -> None:
    host = HostConfig(network_mode="net", tmpfs={"/run": ""}, log_config=LogConfig(type="syslog"))
    told = plan.plan(MigrateRequest(id="c", strategy="cold"), facts(host=host)).warnings
    assert [text.split()[0:3] for text in told] == [
        ["its", "older", "lines"],
        ["it", "is", "stopped,"],
        ["what", "is", "in"],
    ]
    (risk,) = plan.plan(MigrateRequest(id="c", strategy="post-copy"), facts()).warnings
    assert "are lost" in risk


def test_an_estimate_grows_with_what_is_to_be_sent() -> None:
    few, many = (plan.estimate("copy", facts(memory=size, files=size)) for size in (1 << 20, 1 << 30))
    assert few.bytes == 2 << 20
    assert few.freeze_ms < many.freeze_ms < many.total_ms
    assert plan.estimate("post-copy", facts(memory=1 << 30)).freeze_ms == FREEZE_MS
    assert plan.estimate("cold", facts(memory=1 << 30, state="exited")).freeze_ms == 0
