"""Writing a layer's entries into the tree that is this process's root directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from shared.archive.entries import Step
from shared.archive.remove_tree import remove_tree
from shared.archive.tar import Header
from shared.archive.tree_writer import TreeWriter, set_xattrs

from ..domain import entries


class LayerTree(TreeWriter):
    """A layer's tree as overlayfs takes it.

    `opaque`: directories that hide those below. `implied`: directories that no entry described (the root among
    them until one does).
    """

    def __init__(self, most_bytes: int) -> None:
        super().__init__(most_bytes)
        self.opaque: set[str] = set()
        self.implied: set[str] = {""}

    def step(self, header: Header) -> Step:
        return entries.step(header)

    def note(self, path: str, header: Header) -> None:
        super().note(path, header)
        self.implied.discard(path)

    def implied_one(self, path: str) -> None:
        self.implied.add(path)

    def clear(self, todo: Step, there: os.stat_result) -> bool:
        """Whiteouts and directories under each other become opaque directories."""
        hides = stat.S_ISCHR(there.st_mode) and there.st_rdev == 0
        if stat.S_ISDIR(there.st_mode) and todo.action == "whiteout":
            self.opaque.add(todo.path)
            return False
        if hides and todo.action == "directory":
            self.opaque.add(todo.path)
            remove_tree(todo.name, self.parent_fd)
            return True
        if todo.action == "whiteout":
            return False  # what this layer has itself hides what is below already
        return super().clear(todo, there)

    def create(self, todo: Step, header: Header, data: Iterator[memoryview]) -> None:
        if todo.action == "whiteout":
            os.mknod(todo.name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=self.parent_fd)
        else:
            super().create(todo, header, data)

    def describe_top(self, todo: Step, header: Header) -> None:
        """The root as an entry has it, or what hides all that is below a directory."""
        if todo.action == "opaque":
            self.enter(todo.parent)
            self.opaque.add(todo.parent)
            return
        os.fchown(self.top, header.uid, header.gid)
        os.fchmod(self.top, header.mode)
        set_xattrs(self.top, header)
        self.note("", header)
