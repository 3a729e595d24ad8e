"""What is mounted in a workload besides its root (runtime-spec `mounts`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shared.contracts.container import MountPoint, TmpfsOptions
from shared.contracts.platform import CreateRequest
from shared.errors import InvalidArgument

from .facts import Facts
from .namespaces import HOST, NONE

OciMount = dict[str, Any]

_DEFAULT: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("/proc", "proc", "proc", ("nosuid", "noexec", "nodev")),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    ("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    ("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", "ro")),
    ("/sys/fs/cgroup", "cgroup", "cgroup", ("ro", "nosuid", "noexec", "nodev")),
    ("/dev/mqueue", "mqueue", "mqueue", ("nosuid", "noexec", "nodev")),
    ("/dev/shm", "tmpfs", "shm", ("nosuid", "noexec", "nodev", "mode=1777")),
)
_KEPT_WRITABLE = frozenset(("/proc", "/dev/pts", "/dev/shm", "/dev/mqueue", "/dev"))
"""What stays writable in a workload whose root is read-only."""
_PROPAGATIONS = frozenset(("private", "rprivate", "shared", "rshared", "slave", "rslave"))
_TMPFS_FLAGS: dict[str, tuple[str, ...]] = {
    "ro": ("rw",), "rw": ("ro",), "suid": ("nosuid",), "nosuid": ("suid",), "dev": ("nodev",), "nodev": ("dev",),
    "exec": ("noexec",), "noexec": ("exec",), "sync": ("async",), "async": ("sync",), "dirsync": (),
    "remount": (), "mand": ("nomand",), "nomand": ("mand",), "atime": ("noatime",), "noatime": ("atime",),
    "diratime": ("nodiratime",), "nodiratime": ("diratime",), "bind": (), "rbind": (), "unbindable": (),
    "runbindable": (), "private": (), "rprivate": (), "shared": (), "rshared": (), "slave": (), "rslave": (),
    "relatime": ("norelatime",), "norelatime": ("relatime",), "strictatime": ("nostrictatime",),
    "nostrictatime": ("strictatime",), "defaults": (),
}  # fmt: skip
"""Flags that a tmpfs may be given, and what each of them replaces (mount(8))."""
_TMPFS_VALUES = frozenset(("mode", "gid", "uid", "size", "nr_inodes", "nr_blocks", "mpol"))
INIT_PATH = "/sbin/docker-init"


def mounts(request: CreateRequest, facts: Facts, shm: str = "") -> list[OciMount]:
    """All mounts in the order they are made: defaults, then the user's by depth, so that none hides another.

    A user's mount replaces the default one of the same place. `shm`: a host folder that is to be /dev/shm.
    Raises `InvalidArgument` for options that tmpfs does not have.
    """
    own = [*_files(request), *_volumes(request, facts), *_tmpfs(request)]
    if request.init:
        if not facts.init_path:
            raise InvalidArgument('exec: "docker-init": executable file not found in $PATH')
        own.append(_bind(facts.init_path, INIT_PATH, ("bind", "ro")))
    taken = {mount["destination"] for mount in own}
    base = [m for m in _defaults(request, shm) if not _hidden(m["destination"], taken)]
    if request.readonly_rootfs:
        base = [_read_only(m) for m in base]
    return base + sorted(own, key=lambda mount: mount["destination"].rstrip("/").count("/"))


def root_propagation(points: Iterable[MountPoint]) -> str:
    """`linux.rootfsPropagation` that the mounts' own propagation needs; empty: the default."""
    kinds = {point.propagation for point in points if point.type == "bind"}
    if kinds & {"shared", "rshared"}:
        return "shared"
    return "rslave" if kinds & {"slave", "rslave"} else ""


def _hidden(destination: str, taken: set[str]) -> bool:
    return destination in taken or ("/dev" in taken and destination.startswith("/dev/"))


def _defaults(request: CreateRequest, shm: str) -> list[OciMount]:
    privileged, answer = request.process.privileged, []
    for destination, kind, source, options in _DEFAULT:
        if privileged and destination in ("/sys", "/sys/fs/cgroup"):
            options = tuple(option for option in options if option != "ro")
        if destination != "/dev/shm":
            answer.append(_mount(kind, source, destination, options))
        elif request.isolation.ipc != NONE:
            answer.append(_shm(request, shm, options))
    return answer


def _shm(request: CreateRequest, shm: str, options: tuple[str, ...]) -> OciMount:
    if request.isolation.ipc == HOST:
        return _bind("/dev/shm", "/dev/shm", ("rbind", "rprivate"))
    if shm:
        return _bind(shm, "/dev/shm", ("rbind", "rprivate"))
    return _mount("tmpfs", "shm", "/dev/shm", (*options, f"size={request.shm_size}"))


def _read_only(mount: OciMount) -> OciMount:
    if mount["destination"] in _KEPT_WRITABLE or "ro" in mount["options"]:
        return mount
    return {**mount, "options": [*mount["options"], "ro"]}


def _files(request: CreateRequest) -> list[OciMount]:
    """The engine's own files (hosts, resolv.conf, hostname), unless the user mounts something there."""
    taken = {point.destination for point in request.mounts}
    options = ("rbind", "rprivate", *(("ro",) if request.readonly_rootfs else ()))
    return [_bind(source, place, options) for place, source in request.files.items() if place not in taken]


def _volumes(request: CreateRequest, facts: Facts) -> list[OciMount]:
    return [_volume(point, facts) for point in request.mounts if point.type != "tmpfs"]


def _volume(point: MountPoint, facts: Facts) -> OciMount:
    bind = point.spec.bind_options if point.spec else None
    options = ["bind" if bind and bind.non_recursive else "rbind"]
    if not point.rw:
        recursive = facts.kernel >= (5, 12) and not (bind and bind.read_only_non_recursive)
        options.append("rro" if recursive else "ro")
    propagation = point.propagation or "rprivate"
    if propagation not in _PROPAGATIONS:
        raise InvalidArgument(f"invalid propagation mode: {propagation}")
    return _bind(point.source, point.destination, (*options, propagation))


def _tmpfs(request: CreateRequest) -> list[OciMount]:
    places = {place: (options.split(",") if options else []) for place, options in request.tmpfs.items()}
    for point in request.mounts:
        if point.type == "tmpfs":
            places[point.destination] = _tmpfs_words(point)
    return [_mount("tmpfs", "tmpfs", place, tmpfs_options(words)) for place, words in places.items()]


def _tmpfs_words(point: MountPoint) -> list[str]:
    given = (point.spec.tmpfs_options if point.spec else None) or TmpfsOptions()
    words = [] if point.rw else ["ro"]
    if given.mode:
        words.append(f"mode={given.mode:o}")
    if given.size_bytes:
        words.append(f"size={given.size_bytes}")
    return words + ["=".join(option) for option in given.options]


def tmpfs_options(words: Iterable[str]) -> tuple[str, ...]:
    """Docker's defaults merged with what was asked for: a later word replaces an earlier one it contradicts."""
    merged: list[str] = []
    for word in ("noexec", "nosuid", "nodev", "rprivate", *words):
        if word in _TMPFS_FLAGS:
            merged = [w for w in merged if w != word and w not in _TMPFS_FLAGS[word]]
            merged.append(word)
            continue
        name, equals, value = word.partition("=")
        if not equals:
            raise InvalidArgument(f'invalid tmpfs option ["{word}"]')
        if name not in _TMPFS_VALUES:
            raise InvalidArgument(f'invalid tmpfs option ["{name}" "{value}"]')
        merged = [w for w in merged if w.partition("=")[0] != name or "=" not in w]
        merged.append(word)
    return tuple(merged)


def _bind(source: str, destination: str, options: tuple[str, ...]) -> OciMount:
    return _mount("bind", source, destination, options)


def _mount(kind: str, source: str, destination: str, options: tuple[str, ...]) -> OciMount:
    return {"type": kind, "source": source, "destination": destination, "options": list(options)}
