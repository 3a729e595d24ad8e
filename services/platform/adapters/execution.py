"""Running one more program in a workload by its runtime and a monitor: for runtimes whose way of doing it is unknown.

Blocking; runs in a launcher, in the mount namespace of the workload's monitor.
"""

from __future__ import annotations

import contextlib
import os
import socket
from io import FileIO
from pathlib import Path

from shared import telemetry
from shared.contracts.platform import ExecRequest
from shared.errors import Internal, InvalidArgument

from ..domain import failures
from . import attach, bundle, monitor, process
from .runtime import Runtime


class Executor:
    """Makes exec processes in folders that are there."""

    def __init__(self, program: monitor.Program) -> None:
        self._program = program

    def run(
        self, folder: Path, request: ExecRequest, of: bundle.Record, runtime: Runtime
    ) -> tuple[bundle.Record, socket.socket | None]:
        """Starts the folder's process.json; its record, and when asked for its streams, joined before it ran."""
        with telemetry.span("monitor.exec", runtime=runtime.name):
            pid, watcher, streams = self._launch(request, of, folder, runtime)
        record = bundle.Record(
            id=of.id,
            exec_id=request.exec_id,
            pid=pid,
            pid_start=process.start_time(pid),
            monitor=watcher,
            monitor_start=process.start_time(watcher),
            runtime=of.runtime,
            tty=request.process.tty,
            stdin=request.process.stdin,
            stdin_once=True,
        )
        bundle.write_record(folder, record)
        return record, streams

    def _launch(
        self, request: ExecRequest, of: bundle.Record, folder: Path, runtime: Runtime
    ) -> tuple[int, int, socket.socket | None]:
        wanted = request.process
        arguments = monitor.common_arguments(runtime, of.id, folder, "none")
        arguments += ["--exec", "--exec-process-spec", str(folder / "process.json")]
        arguments += monitor.stream_arguments(wanted.stdin, stdin_once=True, tty=wanted.tty)
        if request.attach:
            arguments.append("--exec-attach")
        with contextlib.ExitStack() as ends:
            answer, tells = _pipe(ends)
            waits, go = _pipe(ends)
            ready, told = _pipe(ends)
            theirs = {"_OCI_SYNCPIPE": tells, "_OCI_STARTPIPE": waits, "_OCI_ATTACHPIPE": told}
            watcher = self._program.spawn(arguments, {name: end.fileno() for name, end in theirs.items()})
            for end in theirs.values():
                end.close()
            go.write(b"\0")
            streams = _connect(ready, folder, go) if request.attach else None
            try:
                return monitor.read_pid(answer.fileno(), watcher), watcher, streams
            except (monitor.RuntimeFailure, Internal) as failure:
                if streams is not None:
                    streams.close()
                process.reap_now(watcher)
                if isinstance(failure, Internal):
                    raise
                raise InvalidArgument(failures.exec_failure(str(failure), wanted.args[0])) from None


def _connect(ready: FileIO, folder: Path, go: FileIO) -> socket.socket:
    """Joins the monitor's attach socket once it is there, then lets the program run."""
    if not monitor.readable(ready.fileno()) or not ready.read(4096):
        raise Internal("the monitor of an exec has not made its attach socket")
    streams = attach.connect_now(folder)
    go.write(b"\0")
    return streams


def _pipe(ends: contextlib.ExitStack) -> tuple[FileIO, FileIO]:
    """A pipe whose two ends are closed with `ends` unless they were before."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    return ends.enter_context(FileIO(reader, "r")), ends.enter_context(FileIO(writer, "w"))
