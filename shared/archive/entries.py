"""What an archive's entry may do to the tree it is unpacked into: its name, its kind."""

from __future__ import annotations

from dataclasses import dataclass
from posixpath import normpath
from typing import Literal

from . import tar

LONGEST_NAME = 255
LONGEST_PATH = 4096


class EntryError(Exception):
    """An entry that no honest archive has; the archive is refused. The text is for people."""


Action = Literal["file", "directory", "symlink", "hardlink", "device", "fifo", "whiteout", "opaque", "ignore"]


@dataclass(slots=True, frozen=True)
class Step:
    """What to do: `parent` and `name` beneath the tree's root, without `..`; both empty for the root itself.

    `whiteout` and `opaque` come of layers only.
    """

    action: Action
    parent: str
    name: str
    target: str = ""

    @property
    def path(self) -> str:
        return f"{self.parent}/{self.name}" if self.parent else self.name


_ACTIONS: dict[bytes, Action] = {
    tar.REGULAR: "file",
    tar.GNU_SPARSE: "file",
    tar.DIRECTORY: "directory",
    tar.SYMLINK: "symlink",
    tar.HARD_LINK: "hardlink",
    tar.CHARACTER: "device",
    tar.BLOCK_DEVICE: "device",
    tar.FIFO: "fifo",
}


def step(header: tar.Header) -> Step:
    """The step for an entry; raises `EntryError` for one that leads outside, or that nobody can make."""
    parent, _, name = inside(header.name).rpartition("/")
    action = _ACTIONS.get(header.kind)
    if action is None:
        raise EntryError(f"unhandled tar header type {header.kind.decode('latin-1')!r} of {header.name[:100]!r}")
    if not name and action != "directory":
        raise EntryError(f"{header.name[:100]!r} takes the place of the root directory")
    return Step(action, parent, name, _target(action, header))


def _target(action: Action, header: tar.Header) -> str:
    if action == "hardlink":
        return inside(header.link)
    if action == "symlink":
        if not header.link or "\0" in header.link or len(header.link) >= LONGEST_PATH:
            raise EntryError(f"invalid symlink {header.name[:100]!r}")
        return header.link
    return ""


def inside(name: str) -> str:
    """The name beneath the root, cleaned; an absolute one starts at the root. Raises `EntryError` for the rest."""
    if not name or "\0" in name or len(name) > LONGEST_PATH:
        raise EntryError(f"invalid name of {len(name)} characters: {name[:100]!r}")
    path = normpath(name).lstrip("/")
    if path == ".." or path.startswith("../"):
        raise EntryError(f"{name[:100]!r} is outside of the archive")
    if max(map(len, path.encode("utf-8", "surrogateescape").split(b"/"))) > LONGEST_NAME:
        raise EntryError(f"file name too long: {name[:100]!r}")
    return "" if path == "." else path
