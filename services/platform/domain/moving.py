"""What a workload must be like to be moved, and what of it comes from outside its images. Decides without I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from shared.contracts.migration_driver import MoveHost

LEAST_CRIU = (4, 2)
"""Before, criu could dump no inet socket on kernels from 6.16 on, and spoke another page protocol."""
NATIVE = frozenset(("proc", "sysfs", "devpts", "mqueue"))
"""File systems that criu mounts anew by itself."""
FLAGS = {"ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "noatime": 1024, "relatime": 1 << 21}
"""Options of a mount, not of its file system, and their flags (mount(2))."""
_EMPTY_FOLDERS = (".empty-directory", "/empty")
"""crun's, and that of a workload which was restored from a checkpoint (`adapters.images`)."""


class Mounted(msgspec.Struct, frozen=True):
    """One line of mountinfo (proc_pid_mountinfo(5)): place, what of the file system is there, its type, options."""

    point: str
    root: str
    kind: str
    options: tuple[str, ...]
    super_options: str


class Entry(msgspec.Struct, frozen=True):
    """What lies in a small tmpfs: a folder, a link to `target`, or a device (`mode` with the type's bits)."""

    name: str
    mode: int
    device: int = 0
    target: str = ""


class External(msgspec.Struct, frozen=True):
    """A mount that the target makes of its own: `tmpfs` with `entries`, `cgroup`, `mask`, or `bind`."""

    point: str
    kind: str
    options: tuple[str, ...] = ()
    data: str = ""
    entries: tuple[Entry, ...] = ()
    folder: bool = True


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the target must know of a dump besides criu's images. `streams`: the pipe behind each standard stream."""

    external: tuple[External, ...]
    streams: dict[str, str] = {}


def manifest(text: bytes) -> Manifest:
    """As it was sent."""
    return msgspec.json.decode(text, type=Manifest)


def mounts(text: str) -> list[Mounted]:
    """All mounts of a process."""
    return [_mounted(line) for line in text.splitlines()]


def _mounted(line: str) -> Mounted:
    fields = line.split(" ")
    rest = fields.index("-")
    point, root = (_plain(fields[number]) for number in (4, 3))
    return Mounted(point, root, fields[rest + 1], tuple(fields[5].split(",")), fields[rest + 3])


def _plain(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def outside(mounted: Iterable[Mounted]) -> list[Mounted]:
    """Those that are not in the images: neither the root nor what criu makes by itself."""
    return [mount for mount in mounted if mount.point != "/" and mount.kind not in NATIVE]


def external(mount: Mounted, entries: Iterable[Entry] | None, folder: bool) -> External | None:
    """How the target gets it. None: criu takes it along (a tmpfs that holds more than `entries` can tell)."""
    flags = tuple(option for option in mount.options if option in FLAGS)
    if mount.kind == "tmpfs" and mount.root == "/":
        if entries is None:
            return None
        data = ",".join(word for word in mount.super_options.split(",") if "=" in word)
        return External(mount.point, "tmpfs", flags, data, tuple(entries))
    if mount.kind in ("cgroup", "cgroup2"):
        return External(mount.point, "cgroup", flags)
    if is_mask(mount):
        return External(mount.point, "mask", flags, folder=folder)
    return External(mount.point, "bind", flags, folder=folder)


def is_mask(mount: Mounted) -> bool:
    """Whether it hides something of /proc or /sys, as runtimes do it."""
    hidden = mount.point.startswith(("/proc/", "/sys/"))
    return hidden and (mount.root.endswith(_EMPTY_FOLDERS) or (mount.root, mount.kind) == ("/null", "devtmpfs"))


def bind_source(point: str, configured: Iterable[Mapping[str, Any]]) -> str:
    """The target's folder or file for a bind mount of its configuration; empty: it has none there.

    What is mounted below a recursive bind is found below its source.
    """
    binds = {mount["destination"].rstrip("/"): mount["source"] for mount in configured if mount["type"] == "bind"}
    above = point
    while above:
        if above in binds:
            return str(binds[above]) + point[len(above) :]
        above = above.rpartition("/")[0]
    return ""


def lacking(mounted: Iterable[Mounted], wanted: Iterable[External]) -> dict[str, int]:
    """Flags that mounts from outside are still to get, by point: criu sets none on further mounts of a file system."""
    now = {mount.point: mount.options for mount in mounted}
    return {
        each.point: sum(FLAGS[option] for option in each.options)
        for each in wanted
        if each.point in now and not set(each.options) <= set(now[each.point])
    }


def in_root(outside: Iterable[External]) -> list[External]:
    """Those whose place is in the root itself, not in something that is mounted there."""
    listed = list(outside)
    mounted = ("/proc", "/sys", "/dev", *(each.point for each in listed))
    return [each for each in listed if not any(each.point.startswith(f"{point}/") for point in mounted)]


def reasons(config: Mapping[str, Any], runtime: str, ids: Iterable[tuple[int, int]], may_ask_limits: bool) -> list[str]:
    """Why a running workload with this configuration, whose processes have these users and groups, cannot be moved."""
    kinds = {each["type"]: each.get("path", "") for each in config["linux"]["namespaces"]}
    told = {
        "it has a terminal, whose other end is on this host": bool(config["process"].get("terminal")),
        "it uses the host's network": "network" not in kinds,
        "it shares another container's network": kinds.get("network", "").startswith("/proc/"),
        "it shares process ids with the host or another container": "pid" not in kinds or bool(kinds["pid"]),
        "it shares memory with the host or another container": "ipc" not in kinds or bool(kinds["ipc"]),
        "it shares its host name with another container": bool(kinds.get("uts")),
        f"its runtime is {runtime}, not crun": runtime != "crun",
    }
    if not may_ask_limits and len(set(ids)) > 1:
        told["its processes have several users, whose limits this engine may not read (CAP_SYS_RESOURCE)"] = True
    return [reason for reason, holds in told.items() if holds]


def host_reasons(here: MoveHost) -> list[str]:
    """Why nothing can be moved from or to this host."""
    told = {
        "criu is not installed on this host (deploy/up installs it)": not here.criu,
        f"criu {here.criu} on this host is too old: 4.2 is needed": bool(here.criu) and version(here.criu) < LEAST_CRIU,
        "the kernel of this host has no userfaultfd for lazy pages": not here.lazy_pages,
        "this host is in no cluster": not here.clustered,
    }
    return [reason for reason, holds in told.items() if holds]


def target_reasons(here: MoveHost, source: MoveHost) -> list[str]:
    """Why this host cannot take what runs on that one."""
    lacking = sorted(set(source.processor) - set(here.processor))
    told = {
        f"this host is of architecture {here.architecture}, not {source.architecture}": (
            here.architecture != source.architecture
        ),
        f"its processor lacks {', '.join(lacking)}": bool(lacking),
        f"its criu {here.criu} is older than the source's {source.criu}": version(here.criu) < version(source.criu),
        f"this host has control groups v{here.cgroup_version}, the source v{source.cgroup_version}": (
            here.cgroup_version != source.cgroup_version
        ),
    }
    return [reason for reason, holds in told.items() if holds]


def version(text: str) -> tuple[int, ...]:
    """`4.2.1` as numbers; empty for what is none."""
    found = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
