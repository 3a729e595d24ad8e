"""The platform's endpoints."""

from __future__ import annotations

import re

from shared.contracts import migration_driver, platform
from shared.contracts.base import Empty
from shared.contracts.common import Ref, StreamOffer
from shared.contracts.execs import PathStat, ReadReply
from shared.contracts.executor import AttachRequest, LogsRequest, ResizeRequest, TopReply, TopRequest
from shared.contracts.trees import SyncInRequest, SyncOutRequest, SyncReply
from shared.errors import InvalidArgument
from shared.service import Kernel
from shared.streams import Channel
from shared.treesync import Passing

from .adapters.answering import answering
from .adapters.linux import Linux
from .adapters.workload import Watched, Workload
from .domain.lifecycle import Ended
from .driver import CriuDriver


class PlatformService:
    """Mechanisms of this host."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._linux = Linux(kernel.settings, self._ended)
        self._passing = Passing(kernel.streams, kernel.tasks)
        driver = CriuDriver(self._linux)
        self.drivers = ((migration_driver.CONTRACT, migration_driver.place(kernel.node), driver),)
        self._logs = str(kernel.settings.state_path / "platform" / "logs")

    async def open(self) -> None:
        await self._linux.open()
        for way in ("executor", "gateway"):  # by these an offered stream comes to who takes it
            self._kernel.bus.on_started(way, self._linux.attachments.gone)

    async def close(self) -> None:
        await self._linux.close()

    def at_rest(self) -> bool:
        """Whether another process may take over unnoticed: nothing runs, or is about to come (which would be lost)."""
        return all(workload.ended.done() for workload in self._linux.workloads) and not self._linux.arrivals.told()

    async def _ended(self, watched: Watched, ended: Ended) -> None:
        record = watched.record
        message = platform.Exited(
            id=record.id,
            exec_id=record.exec_id,
            exit_code=ended.exit_code,
            exited_at=ended.at,
            oom_killed=ended.oom_killed,
            node=self._kernel.node,
        )
        await self._kernel.bus.tell(platform.EXITED, message)

    async def create(self, request: platform.CreateRequest) -> platform.CreateReply:
        await self._linux.copies.settled(request.id)
        workload = await self._linux.making.create(request)
        started = workload.record.started_at
        if request.start and not request.restore:
            started = await self._linux.making.start(request.id)
        return platform.CreateReply(pid=workload.record.pid, log_path=workload.record.log_path, started_at=started)

    async def start(self, request: Ref) -> platform.StartReply:
        return platform.StartReply(started_at=await self._linux.making.start(request.id))

    async def delete(self, request: platform.DeleteRequest) -> Empty:
        await self._linux.making.delete(request.id, request.logs)
        await self._linux.arrivals.forget(request.id)
        return Empty()

    async def list(self, request: Empty) -> platform.ListReply:
        workloads = tuple(self._linux.workloads)
        execs = [running for workload in workloads for running in workload.execs.values() if running.ended.done()]
        return platform.ListReply(
            workloads=(*(_told(workload) for workload in workloads), *self._linux.arrivals.told()),
            execs=tuple(_exec_told(e) for e in execs),
        )

    async def prepare(self, request: platform.PrepareRequest) -> Empty:
        self._linux.check(request.request)
        return Empty()

    async def checkpoint(self, request: platform.CheckpointRequest) -> Empty:
        await self._linux.control.checkpoint(request)
        return Empty()

    async def signal(self, request: platform.SignalRequest) -> Empty:
        await self._linux.control.signal(request)
        return Empty()

    async def pause(self, request: Ref) -> Empty:
        await self._linux.control.freeze(request.id, True)
        return Empty()

    async def unpause(self, request: Ref) -> Empty:
        await self._linux.control.freeze(request.id, False)
        return Empty()

    async def exec(self, request: platform.ExecRequest) -> platform.ExecReply:
        running, streams = await self._linux.control.exec(request)
        if streams is None:
            return platform.ExecReply(pid=running.record.pid)
        serve = self._linux.attachments.keep(running, streams, request.process.stdin)
        offer = self._kernel.streams.offer(serve, framed=not request.process.tty)
        return platform.ExecReply(pid=running.record.pid, offer=offer)

    async def exec_forget(self, request: platform.ForgetRequest) -> Empty:
        for exec_id in request.ids:
            self._linux.workloads.forget_exec(exec_id)
        return Empty()

    async def resize(self, request: ResizeRequest) -> Empty:
        self._linux.control.resize(request.id, request.exec_id, request.height, request.width)
        return Empty()

    async def top(self, request: TopRequest) -> TopReply:
        titles, rows = await self._linux.control.top(request.id, request.ps_args)
        return TopReply(titles=titles, processes=rows)

    async def update(self, request: platform.UpdateRequest) -> Empty:
        await self._linux.control.update(request.id, request.resources)
        return Empty()

    async def stats(self, request: platform.StatsRequest) -> platform.StatsReply:
        return platform.StatsReply(samples=await self._linux.control.stats(request.ids))

    async def sync_out(self, request: SyncOutRequest) -> SyncReply:
        there = SyncInRequest(key=_log_id(request.key), last=request.last)
        return await self._passing.send(
            request,
            self._logs,
            lambda: self._kernel.bus.call(platform.SYNC_IN, there, node=request.node),
            prefix=f"{request.key}.",
        )

    async def sync_in(self, request: SyncInRequest) -> StreamOffer:
        serve = self._passing.receiver(self._logs, request.last, prefix=f"{_log_id(request.key)}.")
        return await self._kernel.streams.offer_direct(serve, framed=False)

    async def host(self, request: Empty) -> platform.HostInfo:
        return await self._linux.host()

    async def attach(self, request: AttachRequest) -> StreamOffer:
        linux, found = self._linux, self._linux.workloads.find(request.id)
        taken = linux.attachments.offered(request.id) if found is None or found.waits else (lambda: None)

        async def serve(channel: Channel) -> None:
            taken()
            await linux.streams.attach(request, channel)

        return self._kernel.streams.offer(serve, framed=not (found and found.record.tty))

    async def logs(self, request: LogsRequest) -> StreamOffer:
        async def serve(channel: Channel) -> None:
            await self._linux.streams.logs(request, channel)

        return self._kernel.streams.offer(serve)

    async def stat_path(self, request: platform.FilesRequest) -> PathStat:
        return await self._linux.copies.stat(request)

    async def read_archive(self, request: platform.FilesRequest) -> ReadReply:
        reading = await self._linux.copies.open(request)
        offer = self._kernel.streams.offer(
            lambda channel: self._linux.copies.send(reading, channel), framed=False, expired=reading.close
        )
        return ReadReply(stat=reading.status, offer=offer)

    async def write_archive(self, request: platform.WriteRequest) -> StreamOffer:
        copies = self._linux.copies
        writing = await copies.open_to_write(request)

        async def serve(channel: Channel) -> None:
            async with answering(channel):
                await copies.receive(writing, channel)
                await self._transferred(request.id, "extract-to-dir")

        return self._kernel.streams.offer(serve, framed=False, expired=lambda: copies.give_up(writing))

    async def export(self, request: platform.FilesRequest) -> StreamOffer:
        view = await self._linux.copies.open_whole(request)

        async def serve(channel: Channel) -> None:
            await self._linux.copies.send_whole(view, channel)
            await self._transferred(request.id, "export")

        return self._kernel.streams.offer(serve, framed=False, expired=view.close)

    async def _transferred(self, workload: str, action: str) -> None:
        told = platform.Transferred(id=workload, action=action, node=self._kernel.node)
        await self._kernel.bus.tell(platform.TRANSFERRED, told)


_LOG_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,127}\Z")


def _log_id(key: str) -> str:
    if not _LOG_ID.match(key):
        raise InvalidArgument(f"{key[:100]!r} is no workload's id")
    return key


def _told(workload: Workload) -> platform.Workload:
    record = workload.record
    ended = workload.ended.result() if workload.ended.done() else Ended(0, 0)
    return platform.Workload(
        id=record.id,
        state=workload.state,
        pid=record.pid,
        exit_code=ended.exit_code,
        exited_at=ended.at,
        started_at=record.started_at,
        oom_killed=ended.oom_killed,
        log_path=record.log_path,
    )


def _exec_told(running: Watched) -> platform.ExecExit:
    record = running.record
    return platform.ExecExit(exec_id=record.exec_id, container_id=record.id, exit_code=running.ended.result().exit_code)
