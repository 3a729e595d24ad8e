"""Unpacking an archive into a container, by Docker's rules (`docker cp`)."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Iterator

from shared.archive import entries, tar
from shared.archive.entries import EntryError, Step
from shared.archive.tar import Header
from shared.archive.tree_writer import TreeWriter


class CopyTree(TreeWriter):
    """`destination`: what the top directory is called in the container, for texts.

    `keeps_kinds`: no directory may be replaced by something else, and nothing else by a directory.
    `owner`: user and group that everything gets.
    """

    def __init__(
        self, most_bytes: int, top: int, destination: str, keeps_kinds: bool, owner: tuple[int, int] | None
    ) -> None:
        super().__init__(most_bytes, top)
        self._destination, self._keeps_kinds, self._owner = destination, keeps_kinds, owner

    def apply(self, header: Header, data: Iterator[memoryview]) -> None:
        if self._owner is not None:
            header.uid, header.gid = self._owner
        super().apply(header, data)

    def step(self, header: Header) -> Step:
        name = posixpath.normpath(header.name) if header.name else ""
        path = self._joined(name)
        if not self._holds(path):
            raise EntryError(f'"{name[:200]}" is outside of "{self._destination}"')
        if header.kind == tar.HARD_LINK and not self._holds(linked := self._joined(header.link)):
            raise EntryError(f'invalid hardlink "{linked[:200]}" -> "{header.link[:200]}"')
        if header.kind == tar.SYMLINK and not self._holds(
            posixpath.normpath(f"{posixpath.dirname(path)}/{header.link}")
        ):
            raise EntryError(f'invalid symlink "{path[:200]}" -> "{header.link[:200]}"')
        return entries.step(header)

    def _joined(self, name: str) -> str:
        return posixpath.normpath(f"{self._destination.rstrip('/')}/{name}")

    def _holds(self, path: str) -> bool:
        top = self._destination.rstrip("/")
        return path == top or path.startswith(f"{top}/")

    def clear(self, todo: Step, there: os.stat_result) -> bool:
        if self._keeps_kinds and stat.S_ISDIR(there.st_mode) != (todo.action == "directory"):
            old, new = ("directory", "non-directory") if stat.S_ISDIR(there.st_mode) else ("non-directory", "directory")
            raise EntryError(f'cannot overwrite {old} "{self._joined(todo.path)}" with {new} "{self._destination}"')
        try:
            return super().clear(todo, there)
        except OSError as error:
            if error.errno == errno.EBUSY:  # something is mounted there, as a volume or /etc/hosts
                raise EntryError(f"unlinkat {self._joined(todo.path)}: device or resource busy") from None
            raise
