"""Running one more program in a workload. Blocking; runs in a launcher, in the mount namespace of its monitor."""

from __future__ import annotations

import contextlib
import os
import socket
from io import FileIO
from pathlib import Path

import msgspec

from shared import telemetry
from shared.contracts.platform import ExecRequest
from shared.errors import Internal, InvalidArgument

from ..domain import failures
from ..domain.facts import Facts
from ..domain.process import exec_process
from . import attach, bundle, monitor, process, rootfs
from .runtime import Runtime


class _Config(msgspec.Struct):
    """The part of a workload's configuration that its execs start from."""

    process: dict[str, object]


class Executor:
    """Makes exec processes below `run`/execs."""

    def __init__(self, run: Path, facts: Facts, program: monitor.Program) -> None:
        self._execs, self._facts, self._program = run / "execs", facts, program

    def folder(self, exec_id: str) -> Path:
        return self._execs / exec_id

    def run(
        self, request: ExecRequest, of: bundle.Record, bundle_folder: Path, root: Path, runtime: Runtime
    ) -> tuple[bundle.Record, socket.socket | None]:
        """Starts the program; its record, and when asked for the connection to its streams, made before it ran."""
        folder = self.folder(request.exec_id)
        folder.mkdir(mode=0o700)
        try:
            (folder / "process.json").write_bytes(self._process(request, bundle_folder, root))
            with telemetry.span("monitor.exec", runtime=runtime.name):
                pid, watcher, streams = self._launch(request, of, folder, runtime)
        except BaseException:
            bundle.remove(folder)
            raise
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

    def _process(self, request: ExecRequest, bundle_folder: Path, root: Path) -> bytes:
        base = msgspec.json.decode((bundle_folder / "config.json").read_bytes(), type=_Config).process
        inside = rootfs.open_root(root)
        try:
            ids = rootfs.lookup(inside, request.process.user, request.process.group_add)
        finally:
            os.close(inside)
        return msgspec.json.encode(exec_process(request.process, base, ids, self._facts))

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
