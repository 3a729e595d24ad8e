"""A client's streams: attached live, or the log."""

from __future__ import annotations

from shared import clock
from shared.contracts.executor import AttachRequest, LogsRequest
from shared.streams import Channel

from ..domain.logs import Decoder, Selection, details
from .attachments import Attachments, joined
from .creation import Creator
from .logs import LogFile
from .workload import Workload
from .workloads import Workloads

FIRST_WORDS = 0.1
"""Seconds after its start in which a workload that has not written yet is waited for. Docker's start takes so long that
programs read the log right after it and find the first line there; ours is answered before any program has written."""


class Streams:
    """Serves attach and logs on a channel that the client took."""

    def __init__(self, workloads: Workloads, creator: Creator, attachments: Attachments) -> None:
        self._workloads, self._creator, self._attachments = workloads, creator, attachments

    async def attach(self, request: AttachRequest, channel: Channel) -> None:
        """Serves a client until the workload has ended; one that comes before its workload waits for it."""
        if request.logs:
            await self.logs(LogsRequest(id=request.id, stdout=request.stdout, stderr=request.stderr), channel)
        if not request.stream:
            return
        found = self._workloads.find(request.id)
        if found is not None and not found.ended.done():
            client = joined(found)
        else:
            client = await self._attachments.wait(request.id)
        if client is not None:
            await self._attachments.serve(channel, *client, request)

    async def logs(self, request: LogsRequest, channel: Channel) -> None:
        """Sends the log; with `follow` until a workload that runs has ended. Nothing logged: nothing sent.

        Without `follow` a workload that has just been started gets the time to begin (`FIRST_WORDS`).
        """
        found = self._workloads.find(request.id)
        file, tty = self._open(request.id, request.bound)
        if file is None:
            return
        decoder = Decoder(_selection(request, tty))
        try:
            if not request.follow and found is not None and (seconds := _time_left(found)) > 0:
                await file.begun(found.record.started_at, seconds, found.ended)
            if request.offset:
                file.begin_at(request.offset)
            elif request.tail >= 0:
                file.tail(request.tail)
            if request.follow and found is not None:
                await file.follow(channel, decoder, found.ended)
            else:
                await file.send(channel, decoder)
            await channel.write(decoder.flush())
        finally:
            file.close()

    def _open(self, workload: str, bound: int) -> tuple[LogFile | None, bool]:
        """The log and whether it is a terminal's."""
        for tty in (False, True):
            try:
                return LogFile(self._creator.log_path(workload, tty), bound), tty
            except FileNotFoundError:
                continue
        return None, False


def _time_left(workload: Workload) -> float:
    """Seconds for its first words; none before its start."""
    return FIRST_WORDS - (clock.now_ns() - workload.record.started_at) / 1e9


def _selection(request: LogsRequest, tty: bool) -> Selection:
    return Selection(
        stdout=request.stdout,
        stderr=request.stderr,
        since=request.since,
        until=request.until,
        timestamps=request.timestamps,
        framed=not tty,
        details=details(request.attributes) if request.details else None,
    )
