"""Checkpoint images: criu's files in a folder, written by `<runtime> checkpoint`, read by its `restore`."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from shared.contracts.platform import CheckpointRequest, Restore
from shared.errors import AlreadyExists, Internal, InvalidArgument

from .runtime import Runtime

IGNORE = "--manage-cgroups-mode=ignore"
"""The groups are made and entered here, their device rules hold from the first moment. On v1 criu would walk, and make
again, groups of the whole machine: in some hierarchy every process is at the top."""
OWN_GROUPS = Path(__file__).parent.parent / "own_groups"
"""Where a `criu` is that restores into a control group namespace of its own."""
EMPTY = "/run/crun/.empty-directory"
MAKING: tuple[dict[str, Any], ...] = (
    *({"allow": True, "type": kind, "access": "m"} for kind in "cb"),
    {"allow": True, "type": "c", "major": 1, "minor": 7, "access": "rwm"},
    {"allow": True, "type": "c", "major": 5, "minor": 2, "access": "rwm"},
    {"allow": True, "type": "c", "major": 136, "access": "rwm"},
)
"""Device rules that crun adds of its own: any node may be made (not opened), /dev/full, and pseudo terminals."""
_ERROR = re.compile(r"Error \([^)]*\): (.*)")
_HARMLESS = re.compile("RLIMIT_NOFILE|cgroupd: recv req error|exited, status=")
"""The last one is said of iptables, where another kind of firewall is in use."""
MOST_REASONS = 3


def dump(runtime: Runtime, request: CheckpointRequest, folder: Path) -> None:
    """Blocking; in the mount namespace of the workload's monitor. `folder` is its bundle, which gets criu's log.

    The images come into a folder beside the one asked for, which becomes it when they are whole and durable.
    """
    target = Path(request.image_path)
    if not target.is_absolute():
        raise InvalidArgument(f"the path of a checkpoint is absolute: {request.image_path!r}")
    if target.exists():
        raise AlreadyExists(f"{target} exists")
    partial = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise InvalidArgument(f"mkdir {target}: {(error.strerror or str(error)).lower()}") from None
    try:
        runtime.checkpoint(msgspec.structs.replace(request, image_path=str(partial)), folder, (IGNORE,))
        for file in (*partial.iterdir(), partial):
            if not file.is_symlink():  # to the images of a dump before
                _sync(file)
        partial.rename(target)
        _sync(target.parent)
    except Internal as failure:
        raise Internal(_reason(folder / "dump.log") or failure.message) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def configure(folder: Path, annotations: dict[str, str]) -> None:
    """What crun does not tell criu when it restores, by a configuration file in the bundle.

    Folders that are masked are mounts of an empty one: crun calls it by one name when it dumps, by another when it
    restores.
    """
    empty = folder / "empty"
    empty.mkdir(mode=0o555, exist_ok=True)
    groups = "manage-cgroups=ignore"  # crun's word for it is not heard: they were the source's
    (folder / "criu.conf").write_text(f"external mnt[{EMPTY}]:{empty}\n{groups}\n")
    annotations["org.criu.config"] = str(folder / "criu.conf")


class _Script(Runtime):
    """A runtime by a script that gets its words: the shell's to read, for Debian's /run lets nothing be executed."""

    def __init__(self, runtime: Runtime, script: Path) -> None:
        super().__init__(runtime.name, "/bin/sh", runtime.state)
        self._script = script

    def arguments(self) -> list[str]:
        return [str(self._script), *super().arguments()]


def inside(runtime: Runtime, folder: Path, entrances: Iterable[Path], namespace: bool) -> Runtime:
    """The runtime as a script that enters control groups first: what criu restores is where criu is.

    With `namespace` these are at the same time the roots of what that sees (cgroup_namespaces(7)).
    """
    script, path = folder / "restore", f"PATH={shlex.quote(str(OWN_GROUPS))}:$PATH\n" if namespace else ""
    enter = "".join(f"echo 0 > {shlex.quote(str(file))} &&\n" for file in entrances)
    script.write_text(f'{path}{enter}exec {shlex.quote(runtime.program)} "$@"\n')
    return _Script(runtime, script)


def restore_arguments(wanted: Restore) -> list[str]:
    """What a monitor is told besides, to restore a workload instead of creating it."""
    arguments = ["--restore", wanted.image_path, "--runtime-opt", IGNORE]
    if wanted.tcp:
        arguments += ["--runtime-opt", f"--tcp-{wanted.tcp}"]
    if wanted.file_locks:
        arguments += ["--runtime-opt", "--file-locks"]
    return arguments


def restore_failure(folder: Path, text: str) -> str:
    """What criu says about it, else the runtime's text."""
    return f"failed to restore the checkpoint: {_reason(folder / 'restore.log') or text}"


def _reason(log: Path) -> str:
    """The errors of a log of criu's but those that stop nothing."""
    try:
        found = [error for error in _ERROR.findall(log.read_text(errors="replace")) if not _HARMLESS.search(error)]
    except OSError:
        return ""
    return f"criu failed: {'; '.join(found[:MOST_REASONS])}" if found else ""
