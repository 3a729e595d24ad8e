"""From a container's record to the workload that the platform runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from shared.contracts import platform
from shared.contracts.common import Mount
from shared.contracts.container import ContainerSpec, ContainerStatus, MountPoint, Resources
from shared.contracts.execs import ExecCreateRequest
from shared.contracts.network import Sandbox

from .defaults import PATH
from .logs import bound, compressed, sink
from .mounts.parse import tmpfs_data
from .validation.modes import joined
from .validation.security import parse_security_options


@dataclass(frozen=True)
class Donor:
    """A running container whose namespace is joined."""

    spec: ContainerSpec
    status: ContainerStatus


@dataclass(frozen=True)
class Parts:
    """What others made ready for a start.

    `donors` by kind of namespace (`network`, `pid`, `ipc`); `volumes`: the host directory of each mounted
    volume, by its destination; `host`: the host's name; `linked`: variables of linked containers; `images`: what makes
    the root of each mounted image, by its destination.
    """

    rootfs: tuple[Mount, ...]
    sandbox: Sandbox | None = None
    donors: Mapping[str, Donor] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    linked: tuple[str, ...] = ()
    images: Mapping[str, tuple[Mount, ...]] = field(default_factory=dict)


def create_request(spec: ContainerSpec, parts: Parts) -> platform.CreateRequest:
    """The workload, started at once."""
    asked = spec.host_config
    security = parse_security_options(asked.security_opt)
    points = tuple(on_host(point, parts.volumes) for point in spec.mounts if point.type != "tmpfs")
    files = _files(parts)
    named = parts.donors["network"].spec.config if "network" in parts.donors else spec.config
    return platform.CreateRequest(
        id=spec.id,
        rootfs=parts.rootfs,
        process=_process(spec, named.hostname, security.no_new_privileges, parts.linked),
        hostname="" if asked.uts_mode == "host" else named.hostname,
        domainname=named.domainname,
        isolation=_isolation(spec, parts),
        mounts=points,
        images=dict(parts.images),
        tmpfs={**asked.tmpfs, **_tmpfs(spec.mounts)},
        files={path: file for path, file in files.items() if path not in {p.destination for p in points}},
        shm_size=asked.shm_size,
        resources=_resources(spec),
        sysctls=asked.sysctls,
        annotations=asked.annotations,
        readonly_rootfs=asked.readonly_rootfs,
        masked_paths=() if asked.masked_paths is None else asked.masked_paths,
        readonly_paths=() if asked.readonly_paths is None else asked.readonly_paths,
        seccomp="unconfined" if asked.privileged and not security.seccomp else security.seccomp,
        init=bool(asked.init),
        runtime=asked.runtime,
        stdin_once=spec.config.stdin_once,
        log=asked.log_config,
        log_bytes=bound(asked.log_config) if asked.log_config.type != "none" else 0,
        log_compress=compressed(asked.log_config),
        log_sink=sink(spec, parts.host),
        platform=spec.platform,
        start=True,
    )


def environment(
    spec: ContainerSpec, hostname: str, tty: bool, more: Iterable[str] = (), linked: Iterable[str] = ()
) -> tuple[str, ...]:
    """PATH, HOSTNAME and for a terminal TERM, then what linked containers tell of themselves, then the container's own
    variables, then `more`; the last word wins.

    A name without `=` removes the variable.
    """
    base = [f"PATH={PATH}", f"HOSTNAME={hostname}", *(["TERM=xterm"] if tty else [])]
    values: dict[str, str] = {}
    for variable in (*base, *linked, *spec.config.env, *more):
        name, equals, value = variable.partition("=")
        if equals:
            values[name] = value
        else:
            values.pop(name, None)
    return tuple(f"{name}={value}" for name, value in values.items())


def exec_process(
    spec: ContainerSpec, asked: ExecCreateRequest, console_size: tuple[int, int], linked: tuple[str, ...] = ()
) -> platform.Process:
    """A further process: user, directory and variables of the container where the exec names none."""
    return platform.Process(
        args=asked.cmd,
        env=environment(spec, spec.config.hostname, asked.tty, asked.env, linked),
        cwd=asked.working_dir or spec.config.working_dir or "/",
        user=asked.user or spec.config.user,
        group_add=spec.host_config.group_add,
        tty=asked.tty,
        stdin=asked.attach_stdin,
        console_size=console_size,
        privileged=asked.privileged,
        cap_add=spec.host_config.cap_add,
        cap_drop=spec.host_config.cap_drop,
        no_new_privileges=parse_security_options(spec.host_config.security_opt).no_new_privileges,
        oom_score_adj=spec.host_config.oom_score_adj,
    )


def donor_ids(spec: ContainerSpec) -> dict[str, str]:
    """The containers whose namespaces are joined: kind (`network`, `pid`, `ipc`) to reference."""
    asked = spec.host_config
    modes = {"network": asked.network_mode, "pid": asked.pid_mode, "ipc": asked.ipc_mode}
    if spec.config.network_disabled:
        del modes["network"]
    return {kind: name for kind, mode in modes.items() if (name := joined(mode)) is not None}


def _process(spec: ContainerSpec, hostname: str, no_new_privileges: bool, linked: tuple[str, ...]) -> platform.Process:
    config, asked = spec.config, spec.host_config
    return platform.Process(
        args=(spec.path, *spec.args),
        env=environment(spec, hostname, config.tty, linked=linked),
        cwd=config.working_dir or "/",
        user=config.user,
        group_add=asked.group_add,
        tty=config.tty,
        stdin=config.open_stdin,
        console_size=asked.console_size,
        privileged=asked.privileged,
        cap_add=asked.cap_add,
        cap_drop=asked.cap_drop,
        no_new_privileges=no_new_privileges,
        oom_score_adj=asked.oom_score_adj,
    )


def _files(parts: Parts) -> Mapping[str, str]:
    """hosts, resolv.conf and hostname: of the own sandbox, or shared with the container whose network is joined."""
    if "network" not in parts.donors:
        return parts.sandbox.files if parts.sandbox else {}
    status = parts.donors["network"].status
    shared = {
        "/etc/hosts": status.hosts_path,
        "/etc/resolv.conf": status.resolv_conf_path,
        "/etc/hostname": status.hostname_path,
    }
    return {path: file for path, file in shared.items() if file}


def _isolation(spec: ContainerSpec, parts: Parts) -> platform.Isolation:
    asked = spec.host_config
    return platform.Isolation(
        network=_network(spec, parts),
        pid=_namespace(asked.pid_mode, "pid", parts.donors),
        ipc=_namespace(asked.ipc_mode, "ipc", parts.donors),
        uts="host" if asked.uts_mode == "host" else "",
        cgroup=asked.cgroupns_mode,
    )


def _network(spec: ContainerSpec, parts: Parts) -> str:
    if "network" in parts.donors:
        status = parts.donors["network"].status
        return status.sandbox_key or f"/proc/{status.pid}/ns/net"
    if spec.host_config.network_mode == "host" and not spec.config.network_disabled:
        return "host"
    return parts.sandbox.path if parts.sandbox else ""


def _namespace(mode: str, kind: str, donors: Mapping[str, Donor]) -> str:
    """A donor's, or the mode itself (`host`, and of ipc `shareable` and `none`)."""
    if kind in donors:
        return f"/proc/{donors[kind].status.pid}/ns/{kind}"
    return "" if mode == "private" else mode


def on_host(point: MountPoint, volumes: Mapping[str, str]) -> MountPoint:
    """The mount point with the host directory of its volume; `volumes` by destination."""
    if point.type != "volume":
        return point
    return msgspec.structs.replace(point, source=volumes.get(point.destination, point.source))


def _tmpfs(points: tuple[MountPoint, ...]) -> dict[str, str]:
    return {
        point.destination: tmpfs_data(point.spec.tmpfs_options if point.spec else None, not point.rw)
        for point in points
        if point.type == "tmpfs"
    }


def _resources(spec: ContainerSpec) -> Resources:
    names = Resources.__struct_fields__
    return Resources(**{name: getattr(spec.host_config, name) for name in names})
