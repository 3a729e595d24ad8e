"""Contract of the platform: the mechanisms of one host, behind one adapter per platform.

The platform knows processes, root file systems and streams, not Docker's life cycle. It keeps what it needs
to find every workload again after its own death on disk; exit codes stay until `delete`.
"""

from __future__ import annotations

from typing import Any, Literal

from shared.contracts.base import Contract, Empty, Endpoint, Event, Message
from shared.contracts.common import Mount, Platform, Ref, StreamOffer
from shared.contracts.container import LogConfig, MountPoint, Resources
from shared.contracts.execs import PathStat, ReadReply
from shared.contracts.executor import AttachRequest, LogsRequest, ResizeRequest, TopReply, TopRequest
from shared.contracts.trees import TREE_ERRORS, SyncInRequest, SyncOutRequest, SyncReply
from shared.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, PermissionDenied


class Process(Message, frozen=True):
    """A program to run. `user` is `name|uid[:group|gid]`, resolved in the root file system's own files.

    `capabilities`: exact set when given, else the platform's default changed by `cap_add` and `cap_drop`.
    """

    args: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    user: str = ""
    group_add: tuple[str, ...] = ()
    tty: bool = False
    stdin: bool = False
    console_size: tuple[int, int] = (0, 0)
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    no_new_privileges: bool = False
    oom_score_adj: int = 0


class Isolation(Message, frozen=True):
    """Namespaces: empty: an own one; `host`; a path to join (`/proc/PID/ns/pid`, a network namespace file).

    `ipc` may also be `shareable` (an own one whose /dev/shm those share who join it) or `none` (no /dev/shm);
    `cgroup` empty: an own one on cgroup v2, the host's on v1, as Docker has it; `private`: an own one on both.
    """

    network: str = ""
    pid: str = ""
    ipc: str = ""
    uts: str = ""
    cgroup: str = ""
    user: str = ""


class LogSink(Message, frozen=True):
    """Where the log goes besides the host's file of it.

    `syslog`: over `transport` (`unix`, `unixgram`, `udp`, `tcp`, `tcp+tls`) to `address` (path or host:port; both
    empty: the host's own socket), as `form` (empty: that of local sockets; `rfc3164`, `rfc5424`, `rfc5424micro`),
    `facility` by number; TLS by files of the host. `journald`: to the host's journal, with `fields`.
    """

    driver: Literal["syslog", "journald"]
    tag: str = ""
    transport: str = ""
    address: str = ""
    facility: int = 3
    form: str = ""
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    tls_skip_verify: bool = False
    fields: dict[str, str] = {}


class Restore(Message, frozen=True):
    """A workload that goes on where a checkpoint was taken, of the same id: `image_path` is the checkpoint's folder.

    Its TCP connections: `established` goes on with them (the address must be the same, and the peer has not heard
    anything), `close` gives them up, empty: there may be none.
    """

    image_path: str
    tcp: Literal["", "established", "close"] = ""
    file_locks: bool = False


class CreateRequest(Message, frozen=True):
    """A workload to prepare: root mounted, volumes filled, process waiting for `start`.

    `rootfs` are the mounts that make the root (what image_store's `prepare` answered). `files` maps paths
    in the container to host files (hosts, resolv.conf, hostname). `seccomp`: empty = the default profile,
    `unconfined`, or a profile in Docker's JSON form.
    """

    id: str
    rootfs: tuple[Mount, ...]
    process: Process
    hostname: str = ""
    domainname: str = ""
    isolation: Isolation = Isolation()
    mounts: tuple[MountPoint, ...] = ()
    images: dict[str, tuple[Mount, ...]] = {}
    """What makes the root of each image among `mounts`, by destination; of it, what is mounted may be a part."""
    tmpfs: dict[str, str] = {}
    files: dict[str, str] = {}
    shm_size: int = 64 << 20
    resources: Resources = Resources()
    sysctls: dict[str, str] = {}
    annotations: dict[str, str] = {}
    readonly_rootfs: bool = False
    masked_paths: tuple[str, ...] | None = None
    readonly_paths: tuple[str, ...] | None = None
    seccomp: str = ""
    init: bool = False
    runtime: str = ""
    stdin_once: bool = False
    log: LogConfig = LogConfig()
    log_bytes: int = 0
    """What is kept of the log at least, from its end; 0: all."""
    log_compress: bool = False
    """Pack the part of the log that is not written to any more."""
    log_sink: LogSink | None = None
    platform: Platform = Platform()
    start: bool = False
    """Start at once: one call instead of two."""
    restore: Restore | None = None
    """Begin from a checkpoint instead of with `process`; it runs when the call returns."""


class CreateReply(Message, frozen=True):
    pid: int
    log_path: str = ""
    started_at: int = 0


class StartReply(Message, frozen=True):
    started_at: int


class SignalRequest(Message, frozen=True):
    """`signal` by number; `all`: every process of the workload; `exec_id`: that exec's process instead."""

    id: str
    signal: int
    all: bool = False
    exec_id: str = ""


class CheckpointRequest(Message, frozen=True):
    """Writes the state of a running workload's processes (criu's images) to `image_path`, a folder of the host.

    Unless it is to be left running the workload ends by SIGKILL, silently for its TCP peers. With `pre_dump` only
    memory is written, and it goes on; the next one then names that folder, relative to its own, as `parent_path`.
    `tcp_established`: live connections are taken along, else they are a reason to fail.
    """

    id: str
    image_path: str
    leave_running: bool = False
    pre_dump: bool = False
    parent_path: str = ""
    tcp_established: bool = False
    file_locks: bool = False


class ExecRequest(Message, frozen=True):
    """`attach`: the process waits until the offered stream was taken, so that no byte is lost."""

    id: str
    exec_id: str
    process: Process
    attach: bool = True


class ExecReply(Message, frozen=True):
    pid: int
    offer: StreamOffer | None = None


class ForgetRequest(Message, frozen=True):
    """Execs whose end is known to who asks."""

    ids: tuple[str, ...] = ()


class ExecExit(Message, frozen=True):
    exec_id: str
    container_id: str
    exit_code: int


class Workload(Message, frozen=True):
    """`exit_code` is set when `state` is `stopped`; `exited_at` in nanoseconds.

    In a move (`shared.contracts.migration_driver`): `leaving` from `freeze` on, `receiving` and then `held` before
    `resume`.
    """

    id: str
    state: Literal["created", "running", "paused", "stopped", "leaving", "receiving", "held"]
    pid: int = 0
    exit_code: int = 0
    exited_at: int = 0
    started_at: int = 0
    oom_killed: bool = False
    log_path: str = ""


class ListReply(Message, frozen=True):
    workloads: tuple[Workload, ...] = ()
    execs: tuple[ExecExit, ...] = ()
    """Execs that ended and were not yet forgotten."""


class PrepareRequest(Message, frozen=True):
    """A container was made: check now what would fail later (runtime known, devices there, profile readable)."""

    request: CreateRequest


class DeleteRequest(Message, frozen=True):
    """`logs`: remove the log too (the container goes for good)."""

    id: str
    logs: bool = False


class HostInfo(Message, frozen=True):
    """Facts of the host for `docker info` and placement."""

    platform: Platform
    """Its own."""
    kernel_version: str
    operating_system: str
    os_version: str
    cpus: int
    memory_bytes: int
    cgroup_version: str
    cgroup_driver: str = "cgroupfs"
    security_options: tuple[str, ...] = ()
    runtimes: dict[str, str] = {}
    default_runtime: str = "crun"
    runtime_version: str = ""
    monitor_version: str = ""
    init_version: str = ""
    log_drivers: tuple[str, ...] = ("json-file", "local", "syslog")
    """`none` is always there, and not among them."""
    features: dict[str, bool] = {}
    """Docker's switches: memory_limit, swap_limit, cpu_cfs_period, cpu_shares, cpu_set, pids_limit ..."""
    warnings: tuple[str, ...] = ()
    platforms: tuple[Platform, ...] = ()
    """Of which images workloads can run now, its own first, by itself or by emulation."""


class UpdateRequest(Message, frozen=True):
    """Limits to change at once; what is 0, empty or None stays. Memory and swap are only understood together."""

    id: str
    resources: Resources


class StatsRequest(Message, frozen=True):
    ids: tuple[str, ...]


class Sample(Message, frozen=True):
    """Usage at one moment (`read`, nanoseconds); `raw` as Docker's `ContainerStatsResponse` has it, without names."""

    read: int
    raw: dict[str, Any]


class StatsReply(Message, frozen=True):
    """Samples by id; a workload that does not run has none."""

    samples: dict[str, Sample] = {}


class FilesRequest(Message, frozen=True):
    """A container's file system as copies see it: its root, on it `mounts` (of them binds, volumes and images) and
    `files`.

    `rootfs` makes the root where no workload has it mounted. `images` as in `CreateRequest`.
    """

    id: str
    rootfs: tuple[Mount, ...]
    mounts: tuple[MountPoint, ...] = ()
    images: dict[str, tuple[Mount, ...]] = {}
    files: dict[str, str] = {}
    readonly_rootfs: bool = False
    path: str = "/"


class WriteRequest(FilesRequest, frozen=True):
    """`owner`: `name|uid[:group|gid]` that everything becomes; empty: as the archive has it."""

    no_overwrite_dir_non_dir: bool = False
    owner: str = ""


_NF, _C = NotFound, Conflict
PREPARE = Endpoint("platform.prepare", PrepareRequest, Empty, (InvalidArgument,), idempotent=True)
CREATE = Endpoint(
    "platform.create", CreateRequest, CreateReply, (InvalidArgument, AlreadyExists, NotFound, PermissionDenied)
)
START = Endpoint("platform.start", Ref, StartReply, (_NF, _C))
SIGNAL = Endpoint("platform.signal", SignalRequest, Empty, (_NF, _C))
PAUSE = Endpoint("platform.pause", Ref, Empty, (_NF, _C))
UNPAUSE = Endpoint("platform.unpause", Ref, Empty, (_NF, _C))
DELETE = Endpoint("platform.delete", DeleteRequest, Empty, (_C,), idempotent=True)
CHECKPOINT = Endpoint("platform.checkpoint", CheckpointRequest, Empty, (_NF, _C, InvalidArgument), timeout=600)
LIST = Endpoint("platform.list", Empty, ListReply, idempotent=True)
EXEC = Endpoint("platform.exec", ExecRequest, ExecReply, (_NF, _C, InvalidArgument, PermissionDenied))
EXEC_FORGET = Endpoint("platform.exec_forget", ForgetRequest, Empty, idempotent=True)
RESIZE = Endpoint("platform.resize", ResizeRequest, Empty, (_NF, _C))
ATTACH = Endpoint("platform.attach", AttachRequest, StreamOffer, (_NF, _C))
LOGS = Endpoint("platform.logs", LogsRequest, StreamOffer, (_NF,))
TOP = Endpoint("platform.top", TopRequest, TopReply, (_NF, _C), idempotent=True)
UPDATE = Endpoint("platform.update", UpdateRequest, Empty, (_NF, _C, InvalidArgument))
STATS = Endpoint("platform.stats", StatsRequest, StatsReply, idempotent=True)
STAT_PATH = Endpoint("platform.stat_path", FilesRequest, PathStat, (_NF, InvalidArgument), idempotent=True)
READ_ARCHIVE = Endpoint("platform.read_archive", FilesRequest, ReadReply, (_NF, InvalidArgument))
WRITE_ARCHIVE = Endpoint("platform.write_archive", WriteRequest, StreamOffer, (_NF, InvalidArgument))
EXPORT = Endpoint("platform.export", FilesRequest, StreamOffer, (InvalidArgument,))
SYNC_OUT = Endpoint("platform.sync_out", SyncOutRequest, SyncReply, TREE_ERRORS, timeout=0)
"""The tree is the log of the workload `key`, running or not, or no more."""
SYNC_IN = Endpoint("platform.sync_in", SyncInRequest, StreamOffer, (InvalidArgument,))
HOST = Endpoint("platform.host", Empty, HostInfo, idempotent=True)


class Exited(Message, frozen=True):
    """A workload's, or with `exec_id` an exec's, first process ended."""

    id: str
    exit_code: int
    exited_at: int
    oom_killed: bool = False
    exec_id: str = ""
    node: str = ""


EXITED = Event("platform.exited", Exited, kept=False)
"""Signal; who missed it asks `list`."""


class Transferred(Message, frozen=True):
    """An archive was unpacked into a container (`extract-to-dir`), or all of one was sent (`export`)."""

    id: str
    action: str
    node: str = ""


TRANSFERRED = Event("platform.transferred", Transferred, kept=False)

CONTRACT = Contract(
    name="platform",
    version="v1",
    summary="Mechanisms of one host: root file systems, processes, streams, limits.",
    endpoints=(
        PREPARE, CREATE, START, CHECKPOINT, SIGNAL, PAUSE, UNPAUSE, DELETE, LIST, EXEC, EXEC_FORGET, RESIZE, ATTACH,
        LOGS, TOP, UPDATE, STATS, STAT_PATH, READ_ARCHIVE, WRITE_ARCHIVE, EXPORT,
        HOST, SYNC_OUT, SYNC_IN,
    ),
    events=(EXITED, TRANSFERRED),
    calls=("platform.sync_in",),
    drivers=("migration_driver",),
)  # fmt: skip
