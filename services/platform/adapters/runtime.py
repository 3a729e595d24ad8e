"""OCI runtimes. What crun does in a program of its own for start and delete is here done by its state's files.

crun's state is `<root>/<id>/`: `status`, `config.json`, `seccomp.bpf`, and until it is started `exec.fifo`. A
runtime that lacks the file `status` there is another one, and is asked by its command line.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from shared.config import Settings
from shared.contracts.platform import CheckpointRequest
from shared.errors import Conflict, Internal, InvalidArgument

ALIASES = {"": "", "io.containerd.runc.v2": ""}
KNOWN = ("crun", "runc")
COMMAND_SECONDS = 30.0
DUMP_SECONDS = 580.0


class Runtime:
    """One runtime program and the folder of its state."""

    def __init__(self, name: str, program: str, state: Path) -> None:
        self.name, self.program, self.state = name, program, state

    def arguments(self) -> list[str]:
        """Global options for every call."""
        return ["--root", str(self.state)]

    def has_own_layout(self, workload: str) -> bool:
        """Whether its state is crun's, whose files this engine knows."""
        return (self.state / workload / "status").exists()

    def start(self, workload: str) -> None:
        """Lets the created process run. `Conflict` when it is not waiting for that."""
        fifo = self.state / workload / "exec.fifo"
        if not self.has_own_layout(workload):
            return self._command("start", workload)
        try:
            descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENOENT):
                raise Conflict(f"container {workload} is not waiting to be started") from None
            raise
        try:
            os.unlink(fifo)
            os.write(descriptor, b"\0")
        finally:
            os.close(descriptor)
        return None

    def checkpoint(self, wanted: CheckpointRequest, work: Path, more: Iterable[str]) -> None:
        """Dumps a running workload; in the mount namespace that has its root. Raises `Internal` with the reason."""
        words = ["--image-path", wanted.image_path, "--work-path", str(work), *more]
        switches = {
            "--leave-running": wanted.leave_running and not wanted.pre_dump,
            "--pre-dump": wanted.pre_dump,
            "--tcp-established": wanted.tcp_established,
            "--file-locks": wanted.file_locks,
        }
        words += [name for name, on in switches.items() if on]
        if wanted.parent_path:
            words += ["--parent-path", wanted.parent_path]
        self._command("checkpoint", *words, wanted.id, seconds=DUMP_SECONDS)

    def update(self, workload: str, limits: dict[str, Any]) -> None:
        """Changes limits of a living workload (runtime-spec `linux.resources`)."""
        self._command("update", "--resources", "-", workload, text=msgspec.json.encode(limits).decode())

    def uses_cgroups(self, workload: str) -> bool:
        """Whether the workload's limits are its control group's and nothing else (no virtual machine's, for one)."""
        return self.has_own_layout(workload) or self.name in KNOWN

    def waits(self, workload: str) -> bool:
        """Whether the workload was created and not started."""
        return (self.state / workload / "exec.fifo").exists()

    def forget(self, workload: str) -> None:
        """Removes the state of a workload whose processes and control groups are gone."""
        if self.has_own_layout(workload) or self.name == "crun":
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self.state / workload)
        elif (self.state / workload).exists():
            self._command("delete", "--force", workload)

    def filter_file(self, workload: str) -> str | None:
        """Where the compiled system call filter of a workload lies; None where the runtime keeps none."""
        path = self.state / workload / "seccomp.bpf"
        return str(path) if path.exists() else None

    def filter_bpf(self, workload: str) -> str:
        """The compiled system call filter of a created workload in base64; empty where the runtime keeps none."""
        try:
            return base64.b64encode((self.state / workload / "seccomp.bpf").read_bytes()).decode()
        except OSError:
            return ""

    def _command(self, *words: str, text: str = "", seconds: float = COMMAND_SECONDS) -> None:
        command = [self.program, *self.arguments(), *words]
        beside = {**os.environ, "PATH": f"{Path(self.program).parent}:{os.environ.get('PATH', os.defpath)}"}  # criu
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=seconds, input=text, check=False, env=beside
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Internal(f"{self.name} {words[0]}: {error}") from None
        if done.returncode:
            raise Internal(f"OCI runtime {words[0]} failed: {done.stderr.strip() or done.returncode}")


class Runtimes:
    """The runtimes that a request may name."""

    def __init__(self, settings: Settings) -> None:
        self._default = settings.default_runtime
        self._state = settings.run_path / "platform" / "runtime"
        self._programs = programs(settings)

    def names(self) -> Mapping[str, str]:
        return self._programs

    def get(self, name: str) -> Runtime:
        """`InvalidArgument` in Docker's words for a name that is not set up."""
        wanted = ALIASES.get(name, name) or self._default
        program = self._programs.get(wanted)
        if program is None:
            raise InvalidArgument(f"unknown or invalid runtime name: {name or wanted}")
        state = self._state / wanted
        state.mkdir(parents=True, exist_ok=True, mode=0o710)
        return Runtime(wanted, program, state)


def programs(settings: Settings) -> dict[str, str]:
    """Name to program: those set, and crun and runc where the host has them."""
    found = {name: path for name in KNOWN if (path := program(settings, name))}
    return found | settings.runtimes


def program(settings: Settings, name: str) -> str:
    """A program of the toolchain: the private prefix first, else the PATH; empty: not there."""
    own = Path(settings.runtime_prefix) / "bin" / name
    return str(own) if os.access(own, os.X_OK) else shutil.which(name) or ""
