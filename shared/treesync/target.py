"""The receiving end: a tree becomes like the one that is described, record by record.

What comes was a stranger's to name: every path is walked from the root's descriptor without following a link, and a
name leads nowhere but into the tree. Only the attributes that an archive may carry are set, and the one that makes a
directory of a writable layer opaque.
"""

from __future__ import annotations

import ctypes
import os
import stat
from contextlib import suppress

from shared.archive.remove_tree import remove_tree
from shared.archive.xattrs import keeps_xattr
from shared.errors import InvalidArgument
from shared.paths import open_beneath

from .records import Data, Decoder, End, Gone, Node
from .source import OPAQUE

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MADE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_THERE = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_libc = ctypes.CDLL(None, use_errno=True)


class TreeTarget:
    """One pass into the directory `root`. `feed` until it answers True: the pass is complete, and on disk.

    Its methods wait for the disk: call them in a thread, one at a time. Raises `InvalidArgument` for what no honest
    tree has.
    """

    def __init__(self, root: str, last: bool, prefix: str = "") -> None:
        """`last`: each file that comes is synced by itself; else the whole file system, once, at the end.

        `prefix`: only names that begin with it may be right beneath the root.
        """
        self._prefix = os.fsencode(prefix)
        self._root = os.open(root, _DIRECTORY)
        self._last = last
        self._decoder = Decoder()
        self._file = -1
        self._node: Node | None = None
        self._times: dict[bytes, Node] = {}
        self._parent: tuple[bytes, int] = (b"", os.dup(self._root))
        self._records = 0
        self.received = 0
        """Bytes."""

    def close(self) -> None:
        """Lets go of what is open; a pass that is not complete stays half done."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        for descriptor in (self._parent[1], self._root):
            os.close(descriptor)

    def feed(self, data: bytes) -> bool:
        """Whether the pass is complete."""
        self.received += len(data)
        for record in self._decoder.feed(data):
            if isinstance(record, End):
                self._end(record)
                return True
            self._records += 1
            if isinstance(record, Data):
                self._write(record)
            else:
                self._apply(record)
        return False

    def _apply(self, record: Node | Gone) -> None:
        self._finish_file()
        if not record.path.startswith(self._prefix):
            raise InvalidArgument(f"{record.path[:100]!r} is none of the names that may come")
        if isinstance(record, Gone):
            self._remove(record.path)
        else:
            self._make(record)

    def _make(self, node: Node) -> None:
        if stat.S_ISDIR(node.mode):
            self._directory(node)
        elif node.hard:
            self._hard_link(node)
        elif stat.S_ISREG(node.mode):
            self._begin_file(node)
        else:
            self._special(node)

    def _directory(self, node: Node) -> None:
        if node.path:
            parent, name = self._place(node.path)
            try:
                os.mkdir(name, 0o700, dir_fd=parent)
            except FileExistsError:
                if not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
                    self._clear(parent, name)
                    os.mkdir(name, 0o700, dir_fd=parent)
        self._times[node.path] = node

    def _hard_link(self, node: Node) -> None:
        if not node.target.startswith(self._prefix):
            raise InvalidArgument("a hard link to what does not come from there")
        parent, name = self._place(node.path)
        held = open_beneath(self._root, os.fsdecode(_checked(node.target)), os.O_PATH | os.O_NOFOLLOW)
        try:
            if stat.S_ISDIR(os.fstat(held).st_mode):
                raise InvalidArgument("a hard link to a directory")
            self._clear(parent, name)
            source, _, of = node.target.rpartition(b"/")
            above = open_beneath(self._root, os.fsdecode(source), _DIRECTORY)
            try:
                os.link(of, name, src_dir_fd=above, dst_dir_fd=parent, follow_symlinks=False)
            finally:
                os.close(above)
        finally:
            os.close(held)

    def _special(self, node: Node) -> None:
        parent, name = self._place(node.path)
        self._clear(parent, name)
        if stat.S_ISLNK(node.mode):
            os.symlink(node.target, name, dir_fd=parent)
        elif stat.S_IFMT(node.mode) in (stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK):
            os.mknod(name, node.mode, node.device, dir_fd=parent)
        else:
            raise InvalidArgument(f"nothing has the mode {node.mode:o}")
        os.chown(name, node.uid, node.gid, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISLNK(node.mode):
            os.chmod(name, stat.S_IMODE(node.mode), dir_fd=parent)
        os.utime(name, ns=(node.mtime, node.mtime), dir_fd=parent, follow_symlinks=False)

    def _begin_file(self, node: Node) -> None:
        parent, name = self._place(node.path)
        if node.fresh:
            self._clear(parent, name)
            self._file = os.open(name, _MADE, 0o600, dir_fd=parent)
        else:
            self._file = os.open(name, _THERE | os.O_NONBLOCK, dir_fd=parent)
            if not stat.S_ISREG(os.fstat(self._file).st_mode):
                raise InvalidArgument(f"{os.fsdecode(node.path)[:100]!r} is no file here")
        os.ftruncate(self._file, node.size)
        self._node = node

    def _write(self, record: Data) -> None:
        if self._node is None or record.offset < 0 or record.offset + len(record.data) > self._node.size:
            raise InvalidArgument("data of no file")
        data, at = memoryview(record.data), record.offset
        while data:
            count = os.pwrite(self._file, data, at)
            data, at = data[count:], at + count

    def _finish_file(self) -> None:
        """Owner, mode and attributes come after the bytes: writing takes set-user-id bits and capabilities away."""
        node, self._node = self._node, None
        if node is None:
            return
        file, self._file = self._file, -1
        try:
            _describe(file, node)
            if self._last:
                os.fsync(file)
        finally:
            os.close(file)

    def _end(self, record: End) -> None:
        self._finish_file()
        if record.records != self._records:
            raise InvalidArgument(f"{self._records} of {record.records} records came")
        for path in sorted(self._times, reverse=True):  # what is inside first: it changes the times of what it is in
            with suppress(FileNotFoundError, NotADirectoryError):  # removed later in the same pass
                self._finish_directory(path)
        if not self._last and _libc.syncfs(self._root) != 0:
            raise OSError(ctypes.get_errno(), "syncfs")

    def _finish_directory(self, path: bytes) -> None:
        directory = open_beneath(self._root, os.fsdecode(path), _DIRECTORY)
        try:
            _describe(directory, self._times[path])
            if self._last:
                os.fsync(directory)
        finally:
            os.close(directory)

    def _remove(self, path: bytes) -> None:
        if not path:
            raise InvalidArgument("the root cannot go")
        with suppress(FileNotFoundError, NotADirectoryError):
            self._clear(*self._place(path))

    def _clear(self, parent: int, name: bytes) -> None:
        remove_tree(os.fsdecode(name), parent)

    def _place(self, path: bytes) -> tuple[int, bytes]:
        """The directory that a path is in, open until the next call, and the last name of the path."""
        above, _, name = _checked(path).rpartition(b"/")
        if self._parent[0] != above:
            opened = open_beneath(self._root, os.fsdecode(above), _DIRECTORY)
            os.close(self._parent[1])
            self._parent = (above, opened)
        return self._parent[1], name


def _checked(path: bytes) -> bytes:
    if not path or b"\0" in path or any(part in (b"", b".", b"..") for part in path.split(b"/")):
        raise InvalidArgument(f"{path[:100]!r} is no path in a tree")
    return path


def _describe(descriptor: int, node: Node) -> None:
    status = os.fstat(descriptor)
    if (status.st_uid, status.st_gid) != (node.uid, node.gid):
        os.fchown(descriptor, node.uid, node.gid)
    wanted = {name: value for name, value in node.xattrs.items() if keeps_xattr(name) or name == OPAQUE}
    for name in os.listxattr(descriptor):
        if name not in wanted and (keeps_xattr(name) or name == OPAQUE):
            os.removexattr(descriptor, name)
    for name, value in wanted.items():
        os.setxattr(descriptor, name, value)
    os.fchmod(descriptor, stat.S_IMODE(node.mode))
    os.utime(descriptor, ns=(node.mtime, node.mtime))
