"""Removing a tree that a stranger made: never through a link, any depth, with two descriptors."""

from __future__ import annotations

import os


def remove_tree(name: str, dir_fd: int | None = None) -> None:
    """Removes what `name` is beneath the directory `dir_fd`; nothing there is no error. One caller for a tree.

    Directories inside are moved up beside it before they are emptied, so that neither the depth of the tree
    nor the length of its paths matters.
    """
    pending = [name]
    if _unlink(name, dir_fd):
        return
    while pending:
        current = pending[-1]
        inside = os.open(current, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
        try:
            _empty(inside, name, pending, dir_fd)
        finally:
            os.close(inside)
        if pending[-1] == current:
            os.rmdir(current, dir_fd=dir_fd)
            pending.pop()


def _empty(inside: int, name: str, pending: list[str], dir_fd: int | None) -> None:
    """Removes the files and empty directories; directories that hold something are queued."""
    with os.scandir(inside) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for child, is_directory in found:
        if not is_directory:
            os.unlink(child, dir_fd=inside)
            continue
        try:
            os.rmdir(child, dir_fd=inside)
        except OSError:
            moved = f"{name}.{os.urandom(8).hex()}"
            os.rename(child, moved, src_dir_fd=inside, dst_dir_fd=dir_fd)
            pending.append(moved)


def _unlink(name: str, dir_fd: int | None) -> bool:
    """Removes what is no directory; True when nothing is left to do."""
    try:
        os.unlink(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return True
    except (IsADirectoryError, PermissionError):
        return False
    return True
