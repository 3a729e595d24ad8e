"""Whether a container can move, how, and what that costs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from shared.contracts.container import ContainerSpec, ContainerStatus
from shared.contracts.migrator import MigrateRequest, Plan
from shared.contracts.network import NetworkSpec
from shared.contracts.scheduler import NodeRecord
from shared.contracts.volume import VolumeSpec
from shared.errors import InvalidArgument

from . import estimate as estimates
from .estimate import LINE, Estimate

Chosen = Literal["post-copy", "copy", "cold"]

CLEARLY = 2
"""How many times longer copy must stand still for post-copy to be worth its risk."""
_EVERYWHERE = ("bridge", "default", "none", "host", "")
_NETWORKED = ("nfs", "nfs4", "cifs", "ceph", "glusterfs")


@dataclass(frozen=True)
class Facts:
    """All that is known of a move. Volumes and networks by name, of the source and of the target.

    `shared`: its volumes that other containers have too, with one of these; `joined_by`: a container that joins its
    namespaces. `unmovable`: why its processes cannot be taken along; `strategies` of the driver, and whether it takes
    the log, too (`log`) and is told what is written (`follows`). Bytes: `memory` of its processes, `files` of its
    writable layer and volumes, `free` for processes at the target (0: not known). A second: `written` by its
    processes (None: not measured), `line`: sent between the hosts by the last move (0: none was).
    """

    spec: ContainerSpec
    status: ContainerStatus
    source: NodeRecord
    target: NodeRecord
    ready: bool = True
    volumes: Mapping[str, VolumeSpec] = field(default_factory=dict)
    target_volumes: frozenset[str] = frozenset()
    networks: Mapping[str, NetworkSpec] = field(default_factory=dict)
    target_networks: frozenset[str] = frozenset()
    shared: Mapping[str, str] = field(default_factory=dict)
    joined_by: str = ""
    unmovable: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ("post-copy", "copy")
    log: bool = True
    follows: bool = False
    memory: int = 0
    files: int = 0
    free: int = 0
    written: int | None = None
    line: int = 0


def plan(request: MigrateRequest, facts: Facts) -> Plan:
    """What would be done, or why it cannot be."""
    strategy, why = choose(request, facts)
    expected = estimate(strategy, facts)
    reasons = [*_place(facts), *_bound(facts), *_volumes(facts), *_networks(facts)]
    if facts.target.id == facts.source.id:
        reasons = [f"it is on {facts.target.name} already"]
    warnings = list(_warnings(facts))
    if strategy == "cold":
        warnings += ["it is stopped, and started where it goes"] if running(facts) else []
        warnings += _lost_when_stopped(facts) if running(facts) else []
    else:
        reasons += [*_live(facts), *facts.unmovable]
        if strategy not in facts.strategies:
            reasons.append(f"the migration driver {request.driver} has no strategy {strategy}")
    if strategy == "copy" and facts.written and facts.written >= (facts.line or LINE):
        warnings.append("it writes memory as fast as the line carries it: post-copy would stand still far shorter")
    if strategy == "post-copy":
        warnings.append("if its present host dies in the seconds after the switch, its processes are lost")
    return Plan(
        node=facts.target.id,
        node_name=facts.target.name,
        strategy=strategy,
        why=why,
        reasons=tuple(reasons),
        warnings=tuple(warnings),
        bytes=expected.bytes,
        freeze_ms=expected.freeze_ms,
        total_ms=expected.total_ms,
    )


def check(request: MigrateRequest) -> None:
    """Raises `InvalidArgument` for what contradicts itself."""
    if request.driver and not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", request.driver):
        raise InvalidArgument(f"{request.driver!r} is no name of a migration driver")
    if request.driver and request.strategy == "cold":
        raise InvalidArgument("a cold move takes no processes along: it has no migration driver")


def is_copied(volume: VolumeSpec) -> bool:
    """Whether its content is on its host, and goes along."""
    return not volume.options


def running(facts: Facts) -> bool:
    """Whether it has processes."""
    return facts.status.state == "running"


def choose(request: MigrateRequest, facts: Facts) -> tuple[Chosen, str]:
    """The strategy, and why it."""
    if not running(facts):
        return "cold", "it does not run"
    if request.strategy != "auto":
        return request.strategy, "asked for"
    copy, post_copy = estimate("copy", facts), estimate("post-copy", facts)
    known = _known(facts)
    if "copy" not in facts.strategies:
        return "post-copy", "its driver has no other strategy"
    if request.accept_risk and "post-copy" in facts.strategies and copy.freeze_ms > CLEARLY * post_copy.freeze_ms:
        return "post-copy", f"{known}: copy would stand still for {copy.freeze_ms} ms, and the risk is accepted"
    if request.accept_risk:
        return "copy", f"{known}: post-copy would stand still hardly shorter, at a risk"
    return "copy", f"{known}; nothing is lost whatever dies"


def _known(facts: Facts) -> str:
    """What the choice is made from."""
    written = (
        "how fast it writes is not known" if facts.written is None else f"of which it writes {_mb(facts.written)}/s"
    )
    line = f"{_mb(facts.line)}/s as the last move had" if facts.line else f"{_mb(LINE)}/s assumed"
    return f"{_mb(facts.memory)} of memory, {written}, the line carries {line}"


def _mb(count: int) -> str:
    return f"{count / 10**6:.0f} MB"


def estimate(strategy: Chosen, facts: Facts) -> Estimate:
    """What that would take."""
    line = facts.line or LINE
    if strategy == "cold":
        return estimates.cold(facts.files, running(facts))
    if strategy == "post-copy":
        return estimates.post_copy(facts.memory, facts.files, line)
    return estimates.copy(facts.memory, facts.files, facts.written or 0, line, facts.follows)


def _place(facts: Facts) -> Iterator[str]:
    target, spec = facts.target, facts.spec
    if not facts.ready:
        yield f"{target.name} does not answer"
    if target.availability != "active":
        yield f"{target.name} takes no containers: its availability is {target.availability}"
    if spec.platform.os != target.os or spec.platform.architecture not in (target.architecture, *target.emulated):
        yield f"{target.name} cannot run {spec.platform.os}/{spec.platform.architecture}"
    wanted = max(spec.host_config.memory_reservation, 0)
    if target.memory and wanted > target.memory:
        yield f"{target.name} has less memory than it reserves"


def _bound(facts: Facts) -> Iterator[str]:
    """What ties it to its host."""
    asked = facts.spec.host_config
    for point in facts.spec.mounts:
        if point.type not in ("volume", "tmpfs"):
            yield f"the mount of {point.source or point.name} on {point.destination} is of its host"
    if asked.devices or asked.device_requests or asked.device_cgroup_rules:
        yield "it has devices of its host"
    for kind, mode in (("network", asked.network_mode), ("pid", asked.pid_mode), ("ipc", asked.ipc_mode)):
        if mode.startswith("container:"):
            yield f"it shares the {kind} namespace of another container"
    if facts.joined_by:
        yield f"container {facts.joined_by} shares its namespaces"
    if asked.links:
        yield "it has links to other containers of its host"


def _volumes(facts: Facts) -> Iterator[str]:
    names = dict.fromkeys(point.name for point in facts.spec.mounts if point.type == "volume" and point.name)
    yield from (f"its volume {name} is not there" for name in names if name not in facts.volumes)
    for name, spec in facts.volumes.items():
        if name in facts.shared:
            yield f"container {facts.shared[name]} has its volume {name}, too"
        kind = spec.options.get("type", "")
        if spec.options and kind not in _NETWORKED and kind != "tmpfs":
            yield f"its volume {name} is made of something on its host"
        if name in facts.target_volumes and kind not in _NETWORKED:
            yield f"{facts.target.name} has a volume {name} already"


def _networks(facts: Facts) -> Iterator[str]:
    for name in facts.spec.networks:
        spec = facts.networks.get(name)
        is_global = spec is not None and spec.scope != "local"
        if name not in _EVERYWHERE and not is_global and name not in facts.target_networks:
            yield f"its network {name} is on its host only; an overlay network is on all"
        if is_global and name in facts.target_networks:
            yield f"{facts.target.name} has another network {name}"


def _live(facts: Facts) -> Iterator[str]:
    """Why its processes cannot go on elsewhere."""
    asked = facts.spec.host_config
    if asked.network_mode == "host":
        yield "it uses its host's network"
    for name in facts.spec.networks if asked.network_mode not in ("host", "none") else ():
        spec = facts.networks.get(name)
        if spec is None or spec.scope == "local":
            yield f"its address on network {name} is of its host; on an overlay network it would keep it"
    if any(spec.options.get("type") == "tmpfs" for spec in facts.volumes.values()):
        yield "a volume of it is in its host's memory"
    if asked.pid_mode == "host" or asked.ipc_mode == "host":
        yield "it uses its host's processes or shared memory"
    if facts.free and facts.memory > facts.free:
        yield f"{facts.target.name} has {facts.free >> 20} MB of memory free, it takes {facts.memory >> 20} MB"


def _warnings(facts: Facts) -> Iterator[str]:
    asked = facts.spec.host_config
    if asked.log_config.type not in ("json-file", "local", "none"):
        yield f"its older lines stay where its log driver ({asked.log_config.type}) sent them"


def _lost_when_stopped(facts: Facts) -> list[str]:
    asked = facts.spec.host_config
    in_memory = bool(asked.tmpfs) or any(point.type == "tmpfs" for point in facts.spec.mounts)
    return ["what is in its tmpfs mounts is lost"] if in_memory else []
