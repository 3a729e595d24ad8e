"""Small files below run_dir: records of sandboxes, and the files that go into containers."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from shared.contracts.network import NetworkSpec

from ..domain import files
from ..domain.sandboxes import HostFiles, SandboxRecord

log = logging.getLogger(__name__)
NAMES = ("hosts", "resolv.conf", "hostname")
RESOLV_CONF = Path("/etc/resolv.conf")
RESOLVED_CONF = Path("/run/systemd/resolve/resolv.conf")
"""What systemd-resolved would ask itself, for hosts whose own file names only its stub at 127.0.0.53."""


class Records:
    """One file per sandbox, written under another name and renamed. It needs no sync: a sandbox ends with the host."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o710)

    def load(self) -> tuple[SandboxRecord, ...]:
        """All records; what is not one (never renamed, or cut short by a full disk) is taken away."""
        found = []
        for path in self._folder.iterdir():
            if path.suffix != ".json":
                path.unlink()
                continue
            try:
                found.append(msgspec.json.decode(path.read_bytes(), type=SandboxRecord))
            except msgspec.DecodeError:
                log.warning("%s is not a sandbox record: removed", path)
                path.unlink()
        return tuple(found)

    def write(self, record: SandboxRecord) -> None:
        path = self._folder / f"{record.sandbox.container_id}.json"
        temporary = path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(record))
        os.rename(temporary, path)

    def remove(self, container_id: str) -> None:
        (self._folder / f"{container_id}.json").unlink(missing_ok=True)


class SpecFiles:
    """Networks across hosts that this host has a bridge for: known here also while the hubs are away."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self) -> tuple[NetworkSpec, ...]:
        """All of them; what is none is taken away."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o710)
        found = []
        for path in self._folder.iterdir():
            try:
                found.append(msgspec.json.decode(path.read_bytes(), type=NetworkSpec))
            except msgspec.DecodeError:
                log.warning("%s is not a network: removed", path)
                path.unlink()
        return tuple(found)

    def write(self, spec: NetworkSpec) -> None:
        temporary = self._folder / f"{spec.id}.new"
        temporary.write_bytes(msgspec.json.encode(spec))
        os.rename(temporary, self._folder / f"{spec.id}.json")

    def remove(self, network_id: str) -> None:
        (self._folder / f"{network_id}.json").unlink(missing_ok=True)


def own_files() -> HostFiles:
    """The files of this host that containers' files are made from."""
    return HostFiles(read(Path("/etc/hosts")), host_resolv_conf(), socket.gethostname())


class ContainerFiles:
    """/etc/hosts and its like, one folder per container."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o711)

    def paths(self, container_id: str) -> dict[str, str]:
        """Path in the container to path on the host."""
        return {f"/etc/{name}": str(self._folder / container_id / name) for name in NAMES}

    def write(self, container_id: str, contents: Mapping[str, str]) -> None:
        """Writes in place: a running container has these very files mounted."""
        folder = self._folder / container_id
        folder.mkdir(exist_ok=True, mode=0o711)
        for name, content in contents.items():
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            try:
                os.fchmod(descriptor, 0o644)
                os.write(descriptor, content.encode())
            finally:
                os.close(descriptor)

    def relink(self, container_id: str, alias: str, lines: Sequence[tuple[str, str]]) -> None:
        """Changes the lines of a linked container in the hosts file."""
        before = read(self._folder / container_id / "hosts")
        after = files.relinked(before, alias, lines)
        if after != before:
            self.write(container_id, {"hosts": after})

    def remove(self, container_id: str) -> None:
        folder = self._folder / container_id
        for name in NAMES:
            (folder / name).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()


def host_resolv_conf() -> str:
    """The host's resolver configuration, as a container can use it."""
    text = read(RESOLV_CONF)
    return read(RESOLVED_CONF) or text if text.count("nameserver 127.0.0.53") == text.count("nameserver") > 0 else text


def host_nameservers() -> list[str]:
    """The servers that the host asks, as its file says now."""
    return files.nameservers(host_resolv_conf()) or list(files.FALLBACK_NAMESERVERS)


def read(path: Path) -> str:
    """Content of a file of the host's; empty where it has none."""
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
