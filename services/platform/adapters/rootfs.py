"""The root file system of a workload: mounting it and looking into it without leaving it."""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import stat
from collections.abc import Iterable
from pathlib import Path

from shared import hostmounts
from shared.contracts.common import Mount
from shared.errors import InvalidArgument

from ..domain import copying, users
from . import syscalls

PAGE = 4096
"""mount(2) takes options up to one page, the final zero included."""
LONGEST_TABLE = 8 << 20
"""A passwd or group file beyond this is refused."""
_FLAGS = {
    "ro": hostmounts.MS_RDONLY,
    "nosuid": hostmounts.MS_NOSUID,
    "nodev": hostmounts.MS_NODEV,
    "noexec": hostmounts.MS_NOEXEC,
    "bind": hostmounts.MS_BIND,
    "rbind": hostmounts.MS_BIND | hostmounts.MS_REC,
}


def mount_root(mounts: Iterable[Mount], target: Path) -> None:
    """Makes `target` (a folder) the root file system. `InvalidArgument` for what cannot be mounted."""
    for mount in mounts:
        place = target / mount.destination.lstrip("/") if mount.destination else target
        try:
            _mount(mount, str(place))
        except OSError as error:
            raise InvalidArgument(f"mounting {mount.type} at {place}: {error.strerror}") from None


def unmount_root(target: Path) -> None:
    """Takes back `mount_root` in the caller's mount namespace; nothing where nothing was mounted."""
    with contextlib.suppress(OSError):
        hostmounts.unmount(target)


def _mount(mount: Mount, target: str) -> None:
    flags, data = 0, []
    for option in mount.options:
        if option in _FLAGS:
            flags |= _FLAGS[option]
        elif option != "rw":
            data.append(option)
    kind = "" if flags & hostmounts.MS_BIND else mount.type
    text = ",".join(data)
    if len(text.encode()) < PAGE:
        hostmounts.mount(mount.source, target, kind, flags, text)
    else:
        syscalls.mount_long(kind, mount.source, target, _single_options(data))
    if flags & hostmounts.MS_BIND and flags & hostmounts.MS_RDONLY:
        hostmounts.mount("", target, "", flags | hostmounts.MS_REMOUNT)


def _single_options(words: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Options one by one; overlay's list of lower layers layer by layer, which has no limit of length."""
    answer: list[tuple[str, str]] = []
    for word in words:
        name, _, value = word.partition("=")
        if name == "lowerdir":
            answer += [("lowerdir+", layer) for layer in value.split(":")]
        else:
            answer.append((name, value))
    return tuple(answer)


def open_root(path: Path) -> int:
    """A descriptor of the root that stays valid wherever it is used."""
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def target(root: int, path: str) -> str:
    """Where a path leads inside the root, as far as there is something."""

    def link(at: str) -> str | None:
        try:
            held = syscalls.open_in_root(root, at, os.O_PATH | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            return os.readlink("", dir_fd=held) if stat.S_ISLNK(os.fstat(held).st_mode) else None
        finally:
            os.close(held)

    try:
        return copying.follow(path, link)
    except copying.TooManyLinksError:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None


def leads_nowhere(root: int, path: str) -> bool:
    """Whether a link on the way leads to what is not there."""
    try:
        os.close(syscalls.open_in_root(root, path, os.O_PATH))
    except FileNotFoundError:
        return target(root, path) != posixpath.normpath(path)
    return False


def make_place(root: int, path: str, folder: bool) -> None:
    """Makes a folder or an empty file inside the root to mount on, with those above; what is there stays.

    Where a link leads to what is missing, that is made.
    """
    parts = target(root, path).strip("/").split("/")
    for depth in range(1, len(parts) + 1):
        part = "/".join(parts[:depth])
        with contextlib.suppress(FileNotFoundError):
            os.close(syscalls.open_in_root(root, part, os.O_PATH))
            continue
        above = syscalls.open_in_root(root, "/".join(parts[: depth - 1]) or ".", os.O_PATH | os.O_DIRECTORY)
        try:
            if depth < len(parts) or folder:
                os.mkdir(parts[depth - 1], 0o755, dir_fd=above)
            else:
                os.mknod(parts[depth - 1], 0o644 | stat.S_IFREG, dir_fd=above)
        finally:
            os.close(above)


def lookup(root: int, user: str, group_add: Iterable[str]) -> users.Ids:
    """User and groups by the root file system's own tables; see `domain.users.resolve`."""
    return users.resolve(user, group_add, _table(root, "etc/passwd"), _table(root, "etc/group"))


def _table(root: int, path: str) -> str:
    """Text of a regular file inside the root; empty where there is none. Never blocks on what is no file."""
    try:
        descriptor = syscalls.open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return ""
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        return file.read(LONGEST_TABLE).decode("utf-8", "replace")


def mark(root: int) -> None:
    """Leaves `/.dockerenv`, by which programs tell that they run in a container."""
    try:
        os.close(syscalls.open_in_root(root, ".dockerenv", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755))
    except OSError:
        pass  # there already, or the root is read-only
