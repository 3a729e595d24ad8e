"""What a container is: its configuration as asked for, and its records.

Field names are Docker's (swagger `ContainerConfig`, `HostConfig`, `EndpointSettings`) in snake case; the
gateway translates mechanically. Defaults are what dockerd stores when a client leaves the field out.
Times are nanoseconds since the epoch, 0 for never; sizes bytes; durations nanoseconds, unless said.
"""

from __future__ import annotations

from typing import Any, Literal

from shared.contracts.base import Message
from shared.contracts.common import Descriptor, Platform


class Healthcheck(Message, frozen=True):
    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ContainerConfig(Message, frozen=True):
    """Docker's `Config`: portable between hosts."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, dict[str, Any]] | None = None
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: tuple[str, ...] = ()
    cmd: tuple[str, ...] | None = None
    healthcheck: Healthcheck | None = None
    args_escaped: bool = False
    image: str = ""
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    entrypoint: tuple[str, ...] | None = None
    network_disabled: bool = False
    mac_address: str = ""
    on_build: tuple[str, ...] | None = None
    labels: dict[str, str] = {}
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: tuple[str, ...] | None = None


class PortBinding(Message, frozen=True):
    host_ip: str = ""
    host_port: str = ""


class RestartPolicy(Message, frozen=True):
    name: str = "no"
    maximum_retry_count: int = 0


class LogConfig(Message, frozen=True):
    type: str = "json-file"
    config: dict[str, str] = {}


class DeviceMapping(Message, frozen=True):
    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = "rwm"


class Ulimit(Message, frozen=True):
    name: str
    soft: int = 0
    hard: int = 0


class ThrottleDevice(Message, frozen=True):
    path: str
    rate: int


class WeightDevice(Message, frozen=True):
    path: str
    weight: int


class BindOptions(Message, frozen=True):
    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class VolumeOptions(Message, frozen=True):
    no_copy: bool = False
    labels: dict[str, str] = {}
    driver_name: str = ""
    driver_options: dict[str, str] = {}
    subpath: str = ""


class TmpfsOptions(Message, frozen=True):
    size_bytes: int = 0
    mode: int = 0
    options: tuple[tuple[str, ...], ...] = ()


class ImageOptions(Message, frozen=True):
    subpath: str = ""


class MountRequest(Message, frozen=True):
    """Docker's `Mount` (`--mount`)."""

    type: str = "volume"
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    tmpfs_options: TmpfsOptions | None = None
    image_options: ImageOptions | None = None


class DeviceRequest(Message, frozen=True):
    driver: str = ""
    count: int = 0
    device_ids: tuple[str, ...] = ()
    capabilities: tuple[tuple[str, ...], ...] = ()
    options: dict[str, str] = {}


class Resources(Message, frozen=True):
    """Docker's `Resources`: what `docker update` may change. 0 or empty: no limit; `pids_limit` None: the host's."""

    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: tuple[WeightDevice, ...] = ()
    blkio_device_read_bps: tuple[ThrottleDevice, ...] = ()
    blkio_device_write_bps: tuple[ThrottleDevice, ...] = ()
    blkio_device_read_iops: tuple[ThrottleDevice, ...] = ()
    blkio_device_write_iops: tuple[ThrottleDevice, ...] = ()
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: tuple[DeviceMapping, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()
    device_requests: tuple[DeviceRequest, ...] = ()
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool = False
    pids_limit: int | None = None
    ulimits: tuple[Ulimit, ...] = ()


class HostConfig(Resources, frozen=True):
    """Docker's `HostConfig`: how the container is tied to its host."""

    binds: tuple[str, ...] = ()
    container_id_file: str = ""
    log_config: LogConfig = LogConfig()
    network_mode: str = "default"
    port_bindings: dict[str, tuple[PortBinding, ...]] = {}
    restart_policy: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: tuple[str, ...] = ()
    mounts: tuple[MountRequest, ...] = ()
    console_size: tuple[int, int] = (0, 0)
    annotations: dict[str, str] = {}
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    cgroupns_mode: str = ""
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    group_add: tuple[str, ...] = ()
    ipc_mode: str = ""
    cgroup: str = ""
    links: tuple[str, ...] = ()
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: tuple[str, ...] = ()
    storage_opt: dict[str, str] = {}
    tmpfs: dict[str, str] = {}
    uts_mode: str = ""
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: dict[str, str] = {}
    runtime: str = ""
    isolation: str = ""
    masked_paths: tuple[str, ...] | None = None
    readonly_paths: tuple[str, ...] | None = None
    init: bool | None = None


class EndpointIPAMConfig(Message, frozen=True):
    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: tuple[str, ...] = ()


class EndpointSettings(Message, frozen=True):
    """Docker's `EndpointSettings`: what was asked for, and when running what it got."""

    ipam_config: EndpointIPAMConfig | None = None
    links: tuple[str, ...] | None = None
    mac_address: str = ""
    aliases: tuple[str, ...] | None = None
    driver_opts: dict[str, str] | None = None
    gw_priority: int = 0
    network_id: str = ""
    endpoint_id: str = ""
    gateway: str = ""
    ip_address: str = ""
    ip_prefix_len: int = 0
    ipv6_gateway: str = ""
    global_ipv6_address: str = ""
    global_ipv6_prefix_len: int = 0
    dns_names: tuple[str, ...] | None = None


class MountPoint(Message, frozen=True):
    """Docker's `MountPoint`: a mount as resolved. `copy_up`: fill an empty volume from the image first.

    Of an image, `name` is what the user called it, the source of `spec` its id.
    """

    type: str
    destination: str
    name: str = ""
    source: str = ""
    driver: str = ""
    mode: str = ""
    rw: bool = True
    propagation: str = ""
    copy_up: bool = False
    spec: MountRequest | None = None


State = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]


class ContainerSpec(Message, frozen=True):
    """Record `containers.<id>.spec`: what should exist. Written by the executor on the clients' behalf.

    `config` is the user's configuration already merged with the image's (as dockerd stores it); `path` and
    `args` are the process to run; `image_id` the image it was made from, `image_manifest` that image's manifest;
    `graph_driver` where its layers are on its host, in the words of Docker's overlay2 driver. `generation`: 0 for one
    that is bound to its host; else it may be started again on another when its host is lost, and this counts the
    hosts it has been on: of two hosts' records of it the greater one counts.
    """

    id: str
    name: str
    created: int
    config: ContainerConfig
    host_config: HostConfig
    networks: dict[str, EndpointSettings] = {}
    image_id: str = ""
    image_manifest: Descriptor | None = None
    platform: Platform = Platform()
    path: str = ""
    args: tuple[str, ...] = ()
    mounts: tuple[MountPoint, ...] = ()
    graph_driver: dict[str, str] = {}
    generation: int = 0


class ContainerPlacement(Message, frozen=True):
    """Record `containers.<id>.placement`: the node that has the container.

    `making`: anonymous volumes that were begun to be made for it; nobody's, until the container's spec is there.
    `incoming`: the migration that brings it here; the container exists elsewhere as long as there is no spec. `driver`:
    by whom its processes come (empty: the engine's own).
    """

    node: str
    node_name: str = ""
    making: tuple[str, ...] = ()
    incoming: str = ""
    driver: str = ""


class HealthLog(Message, frozen=True):
    start: int
    end: int
    exit_code: int
    output: str


class Health(Message, frozen=True):
    """`probe`: the exec that runs the check just now; empty: none does."""

    status: Literal["none", "starting", "healthy", "unhealthy"] = "none"
    failing_streak: int = 0
    log: tuple[HealthLog, ...] = ()
    probe: str = ""


class Leaving(Message, frozen=True):
    """It is being migrated to `node`, its processes by `driver`. `held`: nobody may do anything with it; `ran`: it was
    stopped for that.
    """

    migration: str
    node: str
    driver: str = ""
    held: bool = False
    ran: bool = False


class ContainerStatus(Message, frozen=True):
    """Record `containers.<id>.status`: the last state seen on the host. Written by the node's executor.

    `runs` counts starts that succeeded; a reader that waits for the next exit compares it. `stopped_by_user`: a
    client sent a signal since the last start of a client's; `restart_canceled`: one that ends it for good, so that
    no policy starts it again. `restart_delay`: nanoseconds that the policy waits (waited) before the next (this)
    run. `ports` is what is published now.
    `held`: paused by the engine itself for a moment, and not by a client. `moved_to`: it is on that node now, and
    what is recorded here of it will soon be gone. `fenced`: it does not run since its host lost touch with its cluster;
    it is started again, here or elsewhere.
    """

    state: State = "created"
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_at: int = 0
    finished_at: int = 0
    runs: int = 0
    restart_count: int = 0
    stopped_by_user: bool = False
    restart_canceled: bool = False
    restart_delay: int = 0
    held: bool = False
    leaving: Leaving | None = None
    moved_to: str = ""
    fenced: bool = False
    log_came: int = 0
    health: Health | None = None
    networks: dict[str, EndpointSettings] = {}
    ports: dict[str, tuple[PortBinding, ...] | None] = {}
    sandbox_id: str = ""
    sandbox_key: str = ""
    resolv_conf_path: str = ""
    hostname_path: str = ""
    hosts_path: str = ""
    log_path: str = ""
    exec_ids: tuple[str, ...] = ()
