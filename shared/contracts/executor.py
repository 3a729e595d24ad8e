"""Contract of the executor: the containers of one node and their life cycle."""

from __future__ import annotations

from shared.contracts.base import AGREED, Contract, Empty, Endpoint, Event, Keys, Message
from shared.contracts.common import DockerEvent, NameRecord, Platform, PruneReport, Ref, Revision, StreamOffer
from shared.contracts.container import (
    ContainerConfig,
    ContainerPlacement,
    ContainerSpec,
    ContainerStatus,
    EndpointSettings,
    HostConfig,
    PortBinding,
    Resources,
    RestartPolicy,
)
from shared.contracts.execs import (
    ExecCreateRequest,
    ExecRef,
    ExecStartReply,
    ExecStartRequest,
    ExecState,
    PathRequest,
    PathStat,
    ReadReply,
    WriteRequest,
)
from shared.contracts.movable import MOVABLE, SETTLE, TAKE
from shared.contracts.moving import MOVING
from shared.errors import (
    AlreadyExists,
    Conflict,
    InvalidArgument,
    NotFound,
    NotImplementedYet,
    NotModified,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
)

NAMES = Keys("names.container.*", NameRecord)
CLUSTER_NAMES = Keys("cluster_names.container.*", NameRecord, bucket=AGREED)  # in a cluster taken first
SPECS = Keys("containers.*.spec", ContainerSpec)
PLACEMENTS = Keys("containers.*.placement", ContainerPlacement)
STATUSES = Keys("containers.*.status", ContainerStatus)
"""Absent until the first start: then as its defaults say (`created`)."""


class CreateRequest(Message, frozen=True):
    """A container to make; `name` empty: a generated one. `image_id`: what `config.image`, as the user typed it, means.
    `read_only_recursive`: what is mounted beneath a read-only bind is read-only as well (clients since API 1.44).
    `movable`: nothing that the scheduler knows binds it to this host.
    """

    config: ContainerConfig
    host_config: HostConfig = HostConfig()
    networks: dict[str, EndpointSettings] = {}
    name: str = ""
    platform: Platform | None = None
    read_only_recursive: bool = True
    image_id: str = ""
    movable: bool = False


class ForgetHostRequest(Message, frozen=True):
    node: str


class CreateReply(Message, frozen=True):
    id: str
    name: str
    warnings: tuple[str, ...] = ()
    revision: int = 0


class StartRequest(Message, frozen=True):
    id: str
    detach_keys: str = ""
    checkpoint: str = ""
    checkpoint_dir: str = ""


class StopRequest(Message, frozen=True):
    """`timeout` in seconds until SIGKILL; None: the container's own; negative: wait for ever.

    `reference` here and below: what the client called the container; error texts repeat it.
    """

    id: str
    timeout: int | None = None
    signal: str = ""
    reference: str = ""


class KillRequest(Message, frozen=True):
    id: str
    signal: str = "SIGKILL"
    reference: str = ""


class RemoveRequest(Message, frozen=True):
    id: str
    force: bool = False
    volumes: bool = False
    link: bool = False
    reference: str = ""


class RenameRequest(Message, frozen=True):
    id: str
    name: str


class ConnectRequest(Message, frozen=True):
    """`network` by name or id; `settings` as wished."""

    id: str
    network: str
    settings: EndpointSettings = EndpointSettings()


class DisconnectRequest(Message, frozen=True):
    id: str
    network: str
    force: bool = False


class UpdateRequest(Message, frozen=True):
    """Limits to change: what is 0, empty or None stays as it is; `pids_limit` 0: no limit from now on."""

    id: str
    resources: Resources = Resources()
    restart_policy: RestartPolicy | None = None


class UpdateReply(Message, frozen=True):
    warnings: tuple[str, ...] = ()
    revision: int = 0


class PortsRequest(Message, frozen=True):
    """Ports to publish and no longer to publish, running or not: container port (`80/tcp`) to host addresses and ports.

    Without any host address: to `add` a free port, to `remove` all that the container port is published at. What is
    published already and stays is untouched, with the connections through it.
    """

    id: str
    add: dict[str, tuple[PortBinding, ...]] = {}
    remove: dict[str, tuple[PortBinding, ...]] = {}


class PortsReply(Message, frozen=True):
    """`ports`: what is published now, as in `ContainerStatus`."""

    ports: dict[str, tuple[PortBinding, ...] | None] = {}
    revision: int = 0


class ResizeRequest(Message, frozen=True):
    """Terminal size of a container, or of an exec when `exec_id` is given."""

    id: str
    height: int
    width: int
    exec_id: str = ""


class AttachRequest(Message, frozen=True):
    """`logs`: replay what was written before; `stream`: go on live. Frames unless the container has a terminal."""

    id: str
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    stream: bool = False
    logs: bool = False


class DetachedRequest(Message, frozen=True):
    """A client of a container's streams, or of an exec's, left while it went on: an event tells it."""

    id: str
    exec_id: str = ""


class LogsRequest(Message, frozen=True):
    """`since`, `until` in nanoseconds (0: open); `tail` in lines (-1: all). Frames unless a terminal.

    The executor tells the platform how much of the log there is to see (`bound` in bytes from its end, 0: all), and
    the `attributes` that `details` puts before each line. `offset`: only what is behind so many bytes of the log's
    present file; its lines must begin there.
    """

    id: str
    stdout: bool = True
    stderr: bool = True
    follow: bool = False
    since: int = 0
    until: int = 0
    tail: int = -1
    timestamps: bool = False
    details: bool = False
    bound: int = 0
    attributes: dict[str, str] = {}
    offset: int = 0


class TopRequest(Message, frozen=True):
    id: str
    ps_args: str = "-ef"


class TopReply(Message, frozen=True):
    titles: tuple[str, ...]
    processes: tuple[tuple[str, ...], ...]


class CheckpointRef(Message, frozen=True):
    """A checkpoint of a container by name, below `directory` of the host (empty: the container's own place)."""

    id: str
    checkpoint: str
    directory: str = ""
    reference: str = ""


class CheckpointRequest(CheckpointRef, frozen=True):
    """A checkpoint to take; `exit`: the container ends with it."""

    exit: bool = False


class CheckpointListRequest(Message, frozen=True):
    id: str
    directory: str = ""
    reference: str = ""


class CheckpointListReply(Message, frozen=True):
    names: tuple[str, ...] = ()


class UsageEntry(Message, frozen=True):
    """`rw_bytes` in the writable layer; `rootfs_bytes` with the image's."""

    id: str
    rw_bytes: int
    rootfs_bytes: int


class UsageReply(Message, frozen=True):
    entries: tuple[UsageEntry, ...] = ()


class PruneRequest(Message, frozen=True):
    """`ids`: the stopped containers that the caller's filters chose."""

    ids: tuple[str, ...] = ()


class CommitRequest(Message, frozen=True):
    """An image of a container. `config` (None: the container's) changed by `changes` (Dockerfile lines) is its
    configuration; `pause`: the container does nothing meanwhile.
    """

    id: str
    config: ContainerConfig | None = None
    changes: tuple[str, ...] = ()
    author: str = ""
    comment: str = ""
    repository: str = ""
    tag: str = ""
    pause: bool = True


class CommitReply(Message, frozen=True):
    image_id: str


_NF, _C = NotFound, Conflict

CREATE = Endpoint(
    "executor.create", CreateRequest, CreateReply, (AlreadyExists, InvalidArgument, NotFound, NotImplementedYet)
)
START = Endpoint("executor.start", StartRequest, Revision, (_NF, _C, NotModified, InvalidArgument), timeout=120)
STOP = Endpoint("executor.stop", StopRequest, Revision, (_NF, NotModified), timeout=0)
RESTART = Endpoint("executor.restart", StopRequest, Revision, (_NF, _C), timeout=0)
KILL = Endpoint("executor.kill", KillRequest, Empty, (_NF, _C, InvalidArgument))
PAUSE = Endpoint("executor.pause", Ref, Revision, (_NF, _C))
UNPAUSE = Endpoint("executor.unpause", Ref, Revision, (_NF, _C))
REMOVE = Endpoint("executor.remove", RemoveRequest, Revision, (_NF, _C), timeout=120)
RENAME = Endpoint("executor.rename", RenameRequest, Revision, (_NF, AlreadyExists, InvalidArgument))
PORTS = Endpoint("executor.ports", PortsRequest, PortsReply, (_NF, _C, InvalidArgument, ResourceExhausted))
UPDATE = Endpoint("executor.update", UpdateRequest, UpdateReply, (_NF, _C, InvalidArgument))
CONNECT = Endpoint("executor.connect", ConnectRequest, Revision, (_NF, _C, PermissionDenied, InvalidArgument))
DISCONNECT = Endpoint("executor.disconnect", DisconnectRequest, Revision, (_NF, _C))
RESIZE = Endpoint("executor.resize", ResizeRequest, Empty, (_NF, _C))
ATTACH = Endpoint("executor.attach", AttachRequest, StreamOffer, (_NF, _C))
DETACHED = Endpoint("executor.detached", DetachedRequest, Empty, (_NF,))
LOGS = Endpoint("executor.logs", LogsRequest, StreamOffer, (_NF, NotImplementedYet))
EXEC_CREATE = Endpoint("executor.exec_create", ExecCreateRequest, ExecRef, (_NF, _C, InvalidArgument))
EXEC_START = Endpoint("executor.exec_start", ExecStartRequest, ExecStartReply, (_NF, _C, InvalidArgument))
EXEC_INSPECT = Endpoint("executor.exec_inspect", ExecRef, ExecState, (_NF,), idempotent=True)
TOP = Endpoint("executor.top", TopRequest, TopReply, (_NF, _C), idempotent=True)
CHECKPOINT_CREATE = Endpoint(
    "executor.checkpoint_create", CheckpointRequest, Revision, (_NF, _C, AlreadyExists, InvalidArgument), timeout=600
)
CHECKPOINT_LIST = Endpoint(
    "executor.checkpoint_list", CheckpointListRequest, CheckpointListReply, (_NF, InvalidArgument), idempotent=True
)
CHECKPOINT_DELETE = Endpoint("executor.checkpoint_delete", CheckpointRef, Empty, (_NF, InvalidArgument), timeout=120)
USAGE = Endpoint("executor.usage", Empty, UsageReply, (Unavailable,), idempotent=True)
CHANGES = Endpoint("executor.changes", Ref, StreamOffer, (_NF, _C), idempotent=True, timeout=0)
STAT_PATH = Endpoint("executor.stat_path", PathRequest, PathStat, (_NF, _C, InvalidArgument), idempotent=True)
READ_ARCHIVE = Endpoint("executor.read_archive", PathRequest, ReadReply, (_NF, _C, InvalidArgument))
WRITE_ARCHIVE = Endpoint("executor.write_archive", WriteRequest, StreamOffer, (_NF, _C, InvalidArgument))
"""An archive goes in, plain or compressed, and is unpacked there; the answer is a line `{}` or Docker's error line."""
EXPORT = Endpoint("executor.export", Ref, StreamOffer, (_NF, _C))
"""The root file system as a tar archive, without what is mounted in it."""
COMMIT = Endpoint("executor.commit", CommitRequest, CommitReply, (_NF, _C, InvalidArgument), timeout=0)
PRUNE = Endpoint("executor.prune", PruneRequest, PruneReport, timeout=300)
CONTAINER_EVENT = Event("container", DockerEvent)
"""All Docker container events; the subject gets `.<action>` appended."""

FORGET_HOST = Endpoint("executor.forget_host", ForgetHostRequest, Empty, (Unavailable,), idempotent=True)
"""Gives up the names that containers of a host have in the cluster, which has been removed from it."""

CONTRACT = Contract(
    name="executor",
    version="v1",
    summary="Containers of one node: life cycle, exec, logs, restart. Owns no mechanism.",
    endpoints=(
        CREATE, START, STOP, RESTART, KILL, PAUSE, UNPAUSE, REMOVE, RENAME, UPDATE, PORTS, CONNECT, DISCONNECT,
        RESIZE, ATTACH, DETACHED, LOGS, EXEC_CREATE, EXEC_START, EXEC_INSPECT, CHECKPOINT_CREATE, CHECKPOINT_LIST,
        CHECKPOINT_DELETE, TOP, USAGE, PRUNE, CHANGES, COMMIT, STAT_PATH, READ_ARCHIVE, WRITE_ARCHIVE, EXPORT,
        *MOVING,
        FORGET_HOST,
        TAKE,
        SETTLE,
    ),
    events=(CONTAINER_EVENT,),
    owns=(NAMES, CLUSTER_NAMES, MOVABLE, SPECS, PLACEMENTS, STATUSES),
    calls=("image_store.*", "platform.*", "migration_driver.*", "network.*", "volume.*"),
    hears=("platform.exited", "platform.transferred"),
)  # fmt: skip
