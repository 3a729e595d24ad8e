"""What the executor needs of its host, besides the contracts it calls."""

from __future__ import annotations

from typing import Protocol


class HostPaths(Protocol):
    """The few questions about host paths that creating and starting a container ask."""

    def exists(self, path: str) -> bool:
        """Whether anything is at this path (a broken link is nothing)."""

    def make_directory(self, path: str) -> None:
        """A directory with all its parents where nothing is yet. Raises `InvalidArgument` when it cannot be."""

    def folders(self, path: str) -> list[str] | None:
        """Names of the folders in a folder, sorted, hidden ones left out; None: there is no such folder."""

    def remove_tree(self, path: str) -> None:
        """The folder is gone with all that is in it. Idempotent; may take long."""

    def free_bytes(self) -> int:
        """What can still be written on the file system that has the engine's state."""

    def engine_started(self) -> bool:
        """Whether this is the first executor since the engine (or the host) started; then remembers it."""
