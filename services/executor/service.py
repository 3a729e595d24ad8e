"""The executor's endpoints."""

from __future__ import annotations

import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from shared.bus.bus import Started
from shared.contracts import moving, platform
from shared.contracts.base import Empty, Event
from shared.contracts.common import PruneReport, Ref, Revision, StreamOffer
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
from shared.contracts.executor import (
    AttachRequest,
    CheckpointListReply,
    CheckpointListRequest,
    CheckpointRef,
    CheckpointRequest,
    CommitReply,
    CommitRequest,
    ConnectRequest,
    CreateReply,
    CreateRequest,
    DetachedRequest,
    DisconnectRequest,
    ForgetHostRequest,
    KillRequest,
    LogsRequest,
    PortsReply,
    PortsRequest,
    PruneRequest,
    RemoveRequest,
    RenameRequest,
    ResizeRequest,
    StartRequest,
    StopRequest,
    TopReply,
    TopRequest,
    UpdateReply,
    UpdateRequest,
    UsageReply,
)
from shared.contracts.movable import TakeRequest
from shared.service import Kernel
from shared.shielded import finish
from shared.tenure import Desk

from .adapters.cluster_names import ClusterNames
from .adapters.host_paths import LocalHostPaths
from .adapters.movables import Movables
from .adapters.patience import patiently
from .adapters.records import Records
from .operations import (
    arriving,
    changes,
    checkpoint,
    commit,
    create,
    departing,
    execs,
    exit,
    failover,
    files,
    freeze,
    networks,
    ports,
    recover,
    remove,
    rename,
    start,
    stop,
    streams,
    update,
    usage,
)
from .operations.engine import Engine

T = TypeVar("T")

PLATFORM_STARTED = Event("platform.started", Started, kept=False)


class Executor:
    """What changes a container is carried through once begun, whatever becomes of the caller."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def at_rest(self) -> bool:
        """Whether another process may take over unnoticed: health, restarts, execs of what runs are only known here,
        and where what comes from another host will be.
        """
        return not self._engine.places and not any(container.running for container in self._engine.registry)

    async def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        return await finish(self._engine.tasks, work)

    async def create(self, request: CreateRequest) -> CreateReply:
        return await self._finish(create.create(self._engine, request))

    async def start(self, request: StartRequest) -> Revision:
        return Revision(revision=await self._finish(start.start(self._engine, request)))

    async def stop(self, request: StopRequest) -> Revision:
        return Revision(revision=await self._finish(stop.stop(self._engine, request)))

    async def restart(self, request: StopRequest) -> Revision:
        return Revision(revision=await self._finish(stop.restart_container(self._engine, request)))

    async def kill(self, request: KillRequest) -> Empty:
        await self._finish(stop.kill(self._engine, request))
        return Empty()

    async def pause(self, request: Ref) -> Revision:
        return Revision(revision=await self._finish(freeze.pause(self._engine, request.id)))

    async def unpause(self, request: Ref) -> Revision:
        return Revision(revision=await self._finish(freeze.unpause(self._engine, request.id)))

    async def remove(self, request: RemoveRequest) -> Revision:
        return Revision(revision=await self._finish(remove.remove(self._engine, request)))

    async def rename(self, request: RenameRequest) -> Revision:
        return Revision(revision=await self._finish(rename.rename(self._engine, request)))

    async def update(self, request: UpdateRequest) -> UpdateReply:
        return await self._finish(update.update(self._engine, request))

    async def ports(self, request: PortsRequest) -> PortsReply:
        return await self._finish(ports.change(self._engine, request))

    async def connect(self, request: ConnectRequest) -> Revision:
        return Revision(revision=await self._finish(networks.connect(self._engine, request)))

    async def disconnect(self, request: DisconnectRequest) -> Revision:
        return Revision(revision=await self._finish(networks.disconnect(self._engine, request)))

    async def resize(self, request: ResizeRequest) -> Empty:
        await execs.resize(self._engine, request)
        return Empty()

    async def attach(self, request: AttachRequest) -> StreamOffer:
        return await streams.attach(self._engine, request)

    async def detached(self, request: DetachedRequest) -> Empty:
        streams.detached(self._engine, request)
        return Empty()

    async def logs(self, request: LogsRequest) -> StreamOffer:
        return await streams.logs(self._engine, request)

    async def exec_create(self, request: ExecCreateRequest) -> ExecRef:
        return execs.create(self._engine, request)

    async def exec_start(self, request: ExecStartRequest) -> ExecStartReply:
        return await self._finish(execs.start(self._engine, request))

    async def exec_inspect(self, request: ExecRef) -> ExecState:
        return execs.inspect(self._engine, request)

    async def checkpoint_create(self, request: CheckpointRequest) -> Revision:
        return Revision(revision=await self._finish(checkpoint.create(self._engine, request)))

    async def checkpoint_list(self, request: CheckpointListRequest) -> CheckpointListReply:
        return checkpoint.names(self._engine, request)

    async def checkpoint_delete(self, request: CheckpointRef) -> Empty:
        await self._finish(checkpoint.delete(self._engine, request))
        return Empty()

    async def top(self, request: TopRequest) -> TopReply:
        return await streams.top(self._engine, request)

    async def usage(self, request: Empty) -> UsageReply:
        return await usage.usage(self._engine)

    async def prune(self, request: PruneRequest) -> PruneReport:
        return await self._finish(usage.prune(self._engine, request))

    async def forget_host(self, request: ForgetHostRequest) -> Empty:
        await self._engine.records.forget_host(request.node)
        return Empty()

    async def changes(self, request: Ref) -> StreamOffer:
        return await changes.changes(self._engine, request.id)

    async def stat_path(self, request: PathRequest) -> PathStat:
        return await files.stat_path(self._engine, request)

    async def read_archive(self, request: PathRequest) -> ReadReply:
        return await files.read_archive(self._engine, request)

    async def write_archive(self, request: WriteRequest) -> StreamOffer:
        return await files.write_archive(self._engine, request)

    async def export(self, request: Ref) -> StreamOffer:
        return await files.export(self._engine, request.id)

    async def commit(self, request: CommitRequest) -> CommitReply:
        return await self._finish(commit.commit(self._engine, request))

    async def depart(self, request: moving.DepartRequest) -> moving.Held:
        return await self._finish(departing.depart(self._engine, request))

    async def hold(self, request: moving.HoldRequest) -> moving.Held:
        return await self._finish(departing.hold(self._engine, request))

    async def stay(self, request: moving.MoveRef) -> Revision:
        return Revision(revision=await self._finish(departing.stay(self._engine, request)))

    async def receive(self, request: moving.ReceiveRequest) -> moving.ReceiveReply:
        return moving.ReceiveReply(peer=await self._finish(arriving.receive(self._engine, request)))

    async def abandon(self, request: moving.MoveRef) -> Empty:
        await self._finish(arriving.abandon(self._engine, request))
        return Empty()

    async def take_over(self, request: moving.TakeOverRequest) -> moving.TakeOverReply:
        return await self._finish(arriving.take_over(self._engine, request))

    async def taken(self, request: moving.TakenRequest) -> Revision:
        return Revision(revision=await self._finish(arriving.taken(self._engine, request)))

    async def leave(self, request: moving.DepartRequest) -> Empty:
        await self._finish(departing.leave(self._engine, request))
        return Empty()

    async def give_up(self, request: moving.MoveRef) -> Empty:
        await self._finish(departing.give_up(self._engine, request))
        return Empty()

    async def moves(self, request: Empty) -> moving.MovesReply:
        return moving.MovesReply(moves=await arriving.moves(self._engine))

    async def take(self, request: TakeRequest) -> Revision:
        return Revision(revision=await self._finish(failover.take(self._engine, request)))

    async def settle(self, request: Empty) -> Empty:
        await self._finish(failover.settle(self._engine))
        return Empty()

    async def exited(self, told: platform.Exited) -> None:
        """The platform's signal that a process ended; signals of other nodes' platforms are theirs."""
        if told.node not in ("", self._engine.node):
            return
        if told.exec_id:
            await execs.ended(self._engine, told.exec_id, told.id, told.exit_code)
        else:
            await exit.exited(self._engine, told)

    async def transferred(self, told: platform.Transferred) -> None:
        """The platform's signal that a copy is done."""
        if told.node in ("", self._engine.node):
            await files.transferred(self._engine, told)

    def reconnected(self) -> None:
        """Signals may have been lost while the broker was away."""
        self._engine.tasks.start(recover.again(self._engine), "reconnected")

    async def platform_started(self, told: Started) -> None:
        if told.node == self._engine.node:
            await recover.again(self._engine)


async def build(kernel: Kernel) -> Executor:
    """The executor, once its records and its node agree."""
    settings = kernel.settings
    names = ClusterNames(kernel.state, kernel.node, kernel.tasks) if kernel.clustered else None
    desk = Desk(settings)
    movables = (
        Movables(kernel.state, kernel.node, desk, settings.cgroup_parent, kernel.tasks) if kernel.clustered else None
    )
    engine = Engine(
        bus=kernel.bus,
        node=kernel.node,
        records=Records(kernel.state, kernel.node, settings.node, kernel.tasks, names, movables),
        movables=movables,
        paths=LocalHostPaths(Path(settings.run_dir) / "executor" / "engine", settings.state_path),
        tasks=kernel.tasks,
        streams=kernel.streams,
        checkpoints=str(settings.state_path / "executor" / "checkpoints"),
        choose=random.SystemRandom().choice,
        stop_timeout=settings.default_stop_timeout,
    )
    executor = Executor(engine)
    recorded = await recover.load(engine)
    # Heard from here on: a signal that comes while the plan is followed waits for its container's lock.
    await kernel.bus.listen(platform.EXITED, executor.exited)
    await kernel.bus.listen(platform.TRANSFERRED, executor.transferred)
    await recover.at_start(engine, recorded)
    engine.records.agree(lambda: {container.spec.name: container.id for container in engine.registry})
    if movables is not None:
        kernel.tasks.start(patiently(lambda: failover.settle(engine)), "settle")
    else:
        desk.clear()
        kernel.tasks.start(patiently(lambda: arriving.forsake(engine)), "forsake")
    await kernel.bus.listen(PLATFORM_STARTED, executor.platform_started)
    kernel.bus.transport.on_reconnect(executor.reconnected)
    return executor
