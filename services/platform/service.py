"""The platform's endpoints."""

from __future__ import annotations

from shared.contracts import platform
from shared.contracts.base import Empty
from shared.contracts.common import Ref, StreamOffer
from shared.contracts.executor import AttachRequest, LogsRequest
from shared.service import Kernel
from shared.streams import Channel

from .adapters.linux import Linux
from .adapters.workload import Watched, Workload
from .domain.lifecycle import Ended


class PlatformService:
    """Mechanisms of this host."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._linux = Linux(kernel.settings, self._ended)

    async def open(self) -> None:
        await self._linux.recover()

    async def close(self) -> None:
        await self._linux.close()

    def _ended(self, watched: Watched, ended: Ended) -> None:
        record = watched.record
        message = platform.Exited(
            id=record.id,
            exec_id=record.exec_id,
            exit_code=ended.exit_code,
            exited_at=ended.at,
            oom_killed=ended.oom_killed,
            node=self._kernel.node,
        )
        self._kernel.bus.emit(platform.EXITED, message)

    async def create(self, request: platform.CreateRequest) -> platform.CreateReply:
        workload = await self._linux.create(request)
        started = await self._linux.start(request.id) if request.start else 0
        return platform.CreateReply(pid=workload.record.pid, log_path=workload.record.log_path, started_at=started)

    async def start(self, request: Ref) -> platform.StartReply:
        return platform.StartReply(started_at=await self._linux.start(request.id))

    async def delete(self, request: platform.DeleteRequest) -> Empty:
        await self._linux.delete(request.id, request.logs)
        return Empty()

    async def list(self, request: Empty) -> platform.ListReply:
        return platform.ListReply(workloads=tuple(_told(w) for w in self._linux.workloads.values()))

    async def attach(self, request: AttachRequest) -> StreamOffer:
        linux, found = self._linux, self._linux.workloads.get(request.id)
        taken = linux.attachments.offered(request.id) if found is None or found.waits else (lambda: None)

        async def serve(channel: Channel) -> None:
            taken()
            await linux.attach(request, channel)

        return self._kernel.streams.offer(serve, framed=not (found and found.record.tty))

    async def logs(self, request: LogsRequest) -> StreamOffer:
        async def serve(channel: Channel) -> None:
            await self._linux.logs(request, channel)

        return self._kernel.streams.offer(serve)


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
