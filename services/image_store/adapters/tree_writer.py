"""Writing a layer's entries into the tree that is this process's root directory.

The helper has changed its root into the tree before it makes a `TreeWriter`, and holds no descriptor of a
directory outside: whatever a name or a link says, the kernel resolves it inside the tree.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from shared.archive import tar
from shared.archive.source import LimitError
from shared.archive.tar import Header
from shared.archive.xattrs import keeps_xattr

from ..domain.entries import EntryError, Step, step
from .remove_tree import remove_tree

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LAST_TIME = 1 << 61
SPECIAL_BITS = 0o7000
_HOST_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EROFS}
"""What the host, not the archive, is to blame for."""


class TreeWriter:
    """`apply` makes one entry; `finish` what can only be done at the end.

    `size`: bytes of files and links, as Docker counts a layer. `opaque`: directories that hide those
    below. `implied`: directories that no entry described (the root among them until one does).
    """

    def __init__(self, most_bytes: int) -> None:
        self.size = 0
        self._most_bytes = most_bytes
        self.opaque: set[str] = set()
        self.implied: set[str] = {""}
        self._times: dict[str, tuple[int, int]] = {}
        self._parent, self._parent_fd = "", os.open("/", _DIRECTORY)

    def apply(self, header: Header, data: Iterator[memoryview]) -> None:
        """Makes the entry, in the place of whatever has its name; raises `EntryError` or `OSError`."""
        todo = step(header)
        try:
            self._apply(todo, header, data)
        except OverflowError as error:
            raise EntryError(f"cannot unpack {header.name[:200]!r}: {error}") from None
        except OSError as error:
            if error.errno in _HOST_FAULTS:
                raise
            raise EntryError(f"cannot unpack {header.name[:200]!r}: {error.strerror}") from None

    def _apply(self, todo: Step, header: Header, data: Iterator[memoryview]) -> None:
        if todo.action == "ignore":
            return
        if todo.action == "opaque":
            self._directory(todo.parent)
            self.opaque.add(todo.parent)
        elif not todo.name:
            self._root(header)
        else:
            self._directory(todo.parent)
            self._make(todo, header, data)

    def _make(self, todo: Step, header: Header, data: Iterator[memoryview]) -> None:
        try:
            self._create(todo, header, data)
        except FileExistsError:
            if self._replace(todo):
                self._create(todo, header, data)
            elif todo.action == "directory":
                self._describe(todo.name, header, chmod=True)
        if todo.action == "directory":
            self._note(todo, header)

    def _note(self, todo: Step, header: Header) -> None:
        path = f"{todo.parent}/{todo.name}" if todo.parent else todo.name
        self._times[path] = _times(header)
        self.implied.discard(path)

    def _replace(self, todo: Step) -> bool:
        """Clears the name for the new entry; False when what is there stays (a directory under a directory)."""
        there = os.lstat(todo.name, dir_fd=self._parent_fd)
        path = f"{todo.parent}/{todo.name}" if todo.parent else todo.name
        hides = stat.S_ISCHR(there.st_mode) and there.st_rdev == 0
        if stat.S_ISDIR(there.st_mode) and todo.action in ("directory", "whiteout"):
            if todo.action == "whiteout":
                self.opaque.add(path)
            return False
        if hides and todo.action == "directory":
            self.opaque.add(path)
        elif todo.action == "whiteout":
            return False  # what this layer has itself hides what is below already
        if not stat.S_ISDIR(there.st_mode) and there.st_nlink == 1:
            self.size -= there.st_size
        remove_tree(todo.name, self._parent_fd)
        return True

    def _create(self, todo: Step, header: Header, data: Iterator[memoryview]) -> None:
        at = self._parent_fd
        if todo.action == "file":
            return self._file(todo.name, header, data)
        if todo.action == "hardlink":
            return self._link(todo, header)
        if todo.action == "whiteout":
            return os.mknod(todo.name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=at)
        if todo.action == "directory":
            os.mkdir(todo.name, header.mode, dir_fd=at)
            return self._describe(todo.name, header, chmod=bool(header.mode & SPECIAL_BITS))
        if todo.action == "symlink":
            os.symlink(todo.target, todo.name, dir_fd=at)
            self._count(len(os.fsencode(todo.target)))
        elif todo.action == "fifo":
            os.mkfifo(todo.name, header.mode, dir_fd=at)
        else:
            kind = stat.S_IFCHR if header.kind == tar.CHARACTER else stat.S_IFBLK
            os.mknod(todo.name, kind | header.mode, os.makedev(header.major, header.minor), dir_fd=at)
        self._describe(todo.name, header, chmod=False)
        os.utime(todo.name, ns=_times(header), dir_fd=at, follow_symlinks=False)
        return None

    def _describe(self, name: str, header: Header, chmod: bool) -> None:
        """Owner, mode and attributes of what is no regular file. (Owner first: a change of owner clears bits.)"""
        owned = header.uid or header.gid
        if owned or chmod:
            os.chown(name, header.uid, header.gid, dir_fd=self._parent_fd, follow_symlinks=False)
        if header.kind == tar.SYMLINK:
            return
        if chmod or (owned and header.mode & SPECIAL_BITS):
            os.chmod(name, header.mode, dir_fd=self._parent_fd)
        if header.xattrs and header.kind == tar.DIRECTORY:
            inside = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=self._parent_fd)
            try:
                _set_xattrs(inside, header)
            finally:
                os.close(inside)

    def _file(self, name: str, header: Header, data: Iterator[memoryview]) -> None:
        out = os.open(name, _CREATE, header.mode, dir_fd=self._parent_fd)
        try:
            self._count(header.size if header.parts is None else header.real_size)
            if header.parts is None:
                _write(out, data)
            else:
                _write_parts(out, header, data)
            if header.uid or header.gid:
                os.fchown(out, header.uid, header.gid)
            if header.mode & SPECIAL_BITS:
                os.fchmod(out, header.mode)
            if header.xattrs:
                _set_xattrs(out, header)
            os.utime(out, ns=_times(header))
        finally:
            os.close(out)

    def _count(self, size: int) -> None:
        self.size += size
        if self.size > self._most_bytes:
            raise LimitError(f"the archive unpacks to more than {self._most_bytes} bytes (max_unpack_bytes)")

    def _link(self, todo: Step, header: Header) -> None:
        parent, _, name = todo.target.rpartition("/")
        try:
            source = os.open(f"/{parent}", _DIRECTORY)
        except FileNotFoundError:
            raise EntryError(f"hard link {header.name[:200]!r} to {header.link[:200]!r}, which is not there") from None
        try:
            os.link(name, todo.name, src_dir_fd=source, dst_dir_fd=self._parent_fd, follow_symlinks=False)
        except (FileNotFoundError, PermissionError):
            raise EntryError(f"hard link {header.name[:200]!r} to {header.link[:200]!r}, which is no file") from None
        finally:
            os.close(source)

    def _root(self, header: Header) -> None:
        os.chown("/", header.uid, header.gid)
        os.chmod("/", header.mode)
        inside = os.open("/", _DIRECTORY)
        try:
            _set_xattrs(inside, header)
        finally:
            os.close(inside)
        self._times[""] = _times(header)
        self.implied.discard("")

    def _directory(self, path: str) -> None:
        """Makes `path` the directory entries go to, with all above it that is missing."""
        if path == self._parent:
            return
        try:
            opened = os.open(f"/{path}", _DIRECTORY)
        except FileNotFoundError:
            self._imply(path)
            opened = os.open(f"/{path}", _DIRECTORY)
        os.close(self._parent_fd)
        self._parent, self._parent_fd = path, opened

    def _imply(self, path: str) -> None:
        made = ""
        for part in path.split("/"):
            made = f"{made}/{part}" if made else part
            try:
                os.mkdir(f"/{made}", 0o755)
            except FileExistsError:
                continue
            self.implied.add(made)

    def finish(self) -> None:
        """Sets the directories' times, which making their entries has changed."""
        for path, times in self._times.items():
            try:
                inside = os.open(f"/{path}", _DIRECTORY | os.O_NOFOLLOW)
            except (NotADirectoryError, FileNotFoundError):
                continue  # a later entry took its place
            os.utime(inside, ns=times)
            os.close(inside)


def _times(header: Header) -> tuple[int, int]:
    when = max(-_LAST_TIME, min(header.mtime, _LAST_TIME))
    return when, when


def _write(out: int, data: Iterator[memoryview]) -> None:
    for piece in data:
        while piece:
            piece = piece[os.write(out, piece) :]


def _write_parts(out: int, header: Header, data: Iterator[memoryview]) -> None:
    """The data parts of a sparse file at their places; the holes stay holes."""
    parts = iter([*tar.check_parts(header)])
    left = 0
    for piece in data:
        while piece:
            while not left:
                offset, left = next(parts)
                os.lseek(out, offset, os.SEEK_SET)
            written = os.write(out, piece[:left])
            piece, left = piece[written:], left - written
    os.ftruncate(out, header.real_size)


def _set_xattrs(target: int, header: Header) -> None:
    for name, value in header.xattrs.items():
        if not keeps_xattr(name):
            continue
        try:
            os.setxattr(target, name, value)
        except OSError:
            if name == "security.capability":
                raise  # a file without the capability it counts on would be another image
