"""Writing an archive's entries into a tree.

Whoever makes a `TreeWriter` has changed its root into the tree, or into what the tree lies in, and holds no
descriptor of a directory outside: whatever a name or a link says, the kernel resolves it inside.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from . import entries, tar
from .entries import EntryError, Step
from .remove_tree import remove_tree
from .source import MOST_IMPLIED, LimitError
from .tar import Header
from .xattrs import keeps_xattr

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LAST_TIME = 1 << 61
SPECIAL_BITS = 0o7000
_HOST_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EROFS}
"""What the host, not the archive, is to blame for."""


class TreeWriter:
    """`apply` makes one entry; `finish` what can only be done at the end.

    `size`: bytes of files and links, as Docker counts a layer.
    """

    def __init__(self, most_bytes: int, top: int | None = None) -> None:
        """`top`: the directory to write into, by default the root."""
        self.size = self._implied = 0
        self._most_bytes = most_bytes
        self._times: dict[str, tuple[int, int]] = {}
        self.top = os.open("/", DIRECTORY) if top is None else top
        self._parent, self.parent_fd = "", os.open(".", DIRECTORY, dir_fd=self.top)

    def step(self, header: Header) -> Step:
        """What to do for an entry; raises `EntryError`."""
        return entries.step(header)

    def apply(self, header: Header, data: Iterator[memoryview]) -> None:
        """Makes the entry, in the place of whatever has its name; raises `EntryError` or `OSError`."""
        todo = self.step(header)
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
        if not todo.name:
            self.describe_top(todo, header)
        else:
            self.enter(todo.parent)
            self._make(todo, header, data)

    def _make(self, todo: Step, header: Header, data: Iterator[memoryview]) -> None:
        try:
            self.create(todo, header, data)
        except FileExistsError:
            if self.clear(todo, os.lstat(todo.name, dir_fd=self.parent_fd)):
                self.create(todo, header, data)
            elif todo.action == "directory":
                self.describe(todo.name, header, chmod=True)
        if todo.action == "directory":
            self.note(todo.path, header)

    def note(self, path: str, header: Header) -> None:
        """A directory was described by an entry of its own."""
        self._times[path] = _times(header)

    def clear(self, todo: Step, there: os.stat_result) -> bool:
        """Clears the name for the new entry; False when what is there stays (a directory under a directory)."""
        if stat.S_ISDIR(there.st_mode) and todo.action == "directory":
            return False
        if not stat.S_ISDIR(there.st_mode) and there.st_nlink == 1:
            self.size -= there.st_size
        remove_tree(todo.name, self.parent_fd)
        return True

    def create(self, todo: Step, header: Header, data: Iterator[memoryview]) -> None:
        """Makes what was not there; raises `FileExistsError`."""
        at = self.parent_fd
        if todo.action == "file":
            return self._file(todo.name, header, data)
        if todo.action == "hardlink":
            return self._link(todo, header)
        if todo.action == "directory":
            os.mkdir(todo.name, header.mode, dir_fd=at)
            return self.describe(todo.name, header, chmod=bool(header.mode & SPECIAL_BITS))
        if todo.action == "symlink":
            os.symlink(todo.target, todo.name, dir_fd=at)
            self._count(len(os.fsencode(todo.target)))
        elif todo.action == "fifo":
            os.mkfifo(todo.name, header.mode, dir_fd=at)
        else:
            kind = stat.S_IFCHR if header.kind == tar.CHARACTER else stat.S_IFBLK
            os.mknod(todo.name, kind | header.mode, os.makedev(header.major, header.minor), dir_fd=at)
        self.describe(todo.name, header, chmod=False)
        os.utime(todo.name, ns=_times(header), dir_fd=at, follow_symlinks=False)
        return None

    def describe(self, name: str, header: Header, chmod: bool) -> None:
        """Owner, mode and attributes of what is no regular file. (Owner first: a change of owner clears bits.)"""
        owned = header.uid or header.gid
        if owned or chmod:
            os.chown(name, header.uid, header.gid, dir_fd=self.parent_fd, follow_symlinks=False)
        if header.kind == tar.SYMLINK:
            return
        if chmod or (owned and header.mode & SPECIAL_BITS):
            os.chmod(name, header.mode, dir_fd=self.parent_fd)
        if header.xattrs and header.kind == tar.DIRECTORY:
            inside = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=self.parent_fd)
            try:
                set_xattrs(inside, header)
            finally:
                os.close(inside)

    def _file(self, name: str, header: Header, data: Iterator[memoryview]) -> None:
        """A file that does not come whole is taken away again."""
        out = os.open(name, _CREATE, header.mode, dir_fd=self.parent_fd)
        whole = False
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
                set_xattrs(out, header)
            os.utime(out, ns=_times(header))
            whole = True
        finally:
            os.close(out)
            if not whole:
                os.unlink(name, dir_fd=self.parent_fd)

    def _count(self, size: int) -> None:
        self.size += size
        if self.size > self._most_bytes:
            raise LimitError(f"the archive unpacks to more than {self._most_bytes} bytes (max_unpack_bytes)")

    def _link(self, todo: Step, header: Header) -> None:
        parent, _, name = todo.target.rpartition("/")
        try:
            source = os.open(parent or ".", DIRECTORY, dir_fd=self.top)
        except FileNotFoundError:
            raise EntryError(f"hard link {header.name[:200]!r} to {header.link[:200]!r}, which is not there") from None
        try:
            os.link(name, todo.name, src_dir_fd=source, dst_dir_fd=self.parent_fd, follow_symlinks=False)
        except (FileNotFoundError, PermissionError):
            raise EntryError(f"hard link {header.name[:200]!r} to {header.link[:200]!r}, which is no file") from None
        finally:
            os.close(source)

    def describe_top(self, todo: Step, header: Header) -> None:
        """An entry of the top directory itself; here it stays as it is."""

    def enter(self, path: str) -> None:
        """Makes `path` the directory entries go to, with all above it that is missing."""
        if path == self._parent:
            return
        try:
            opened = os.open(path or ".", DIRECTORY, dir_fd=self.top)
        except FileNotFoundError:
            self._imply(path)
            opened = os.open(path, DIRECTORY, dir_fd=self.top)
        os.close(self.parent_fd)
        self._parent, self.parent_fd = path, opened

    def _imply(self, path: str) -> None:
        made = ""
        for part in path.split("/"):
            made = f"{made}/{part}" if made else part
            try:
                os.mkdir(made, 0o755, dir_fd=self.top)
            except FileExistsError:
                continue
            self._implied += 1
            if self._implied > MOST_IMPLIED:
                raise LimitError(f"the archive has more than {MOST_IMPLIED} directories that no entry describes")
            self.implied_one(made)

    def implied_one(self, path: str) -> None:
        """A directory was made that no entry has described."""

    def finish(self) -> None:
        """Sets the directories' times, which making their entries has changed."""
        for path, times in self._times.items():
            try:
                inside = os.open(path or ".", DIRECTORY | os.O_NOFOLLOW, dir_fd=self.top)
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


def set_xattrs(target: int, header: Header) -> None:
    """The attributes an archive may set; only a capability has to be there."""
    for name, value in header.xattrs.items():
        if not keeps_xattr(name):
            continue
        try:
            os.setxattr(target, name, value)
        except OSError:
            if name == "security.capability":
                raise  # a file without the capability it counts on would be another file
