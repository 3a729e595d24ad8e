"""System calls by number: errors carry their name, descriptors are closed over exec."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from services.platform.adapters import syscalls


def test_opening_stays_inside(directory: Path) -> None:
    (directory / "root").mkdir()
    (directory / "secret").write_text("host")
    (directory / "root/file").write_text("inside")
    (directory / "root/link").symlink_to("../secret")
    root = os.open(directory / "root", os.O_PATH)
    with pytest.raises(FileNotFoundError) as caught:
        os.close(syscalls.open_in_root(root, "link", os.O_RDONLY))
    assert caught.value.filename == "link"
    for path in ("/file", "../../file", "./file"):
        descriptor = syscalls.open_in_root(root, path, os.O_RDONLY)
        assert os.read(descriptor, 10) == b"inside"
        assert fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        os.close(descriptor)
    (directory / "root/magic").symlink_to("/proc/self/root/etc/passwd")
    with pytest.raises(OSError, match="magic"):
        syscalls.open_in_root(root, "magic", os.O_RDONLY)
    os.close(root)


def test_failures_of_namespaces_and_mounts_are_raised(directory: Path) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        syscalls.unshare(-1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        syscalls.setns(-1, 0)
    with pytest.raises(OSError, match="nosuchfs"):
        syscalls.mount_long("nosuchfs", "x", str(directory), ())
    with pytest.raises(OSError, match="nosuchoption"):
        syscalls.mount_long("tmpfs", "x", str(directory), (("nosuchoption", "1"),))


def test_a_change_is_told(directory: Path) -> None:
    path = directory / "file"
    path.touch()
    watch = syscalls.inotify(str(path), 0x2)
    with pytest.raises(BlockingIOError):
        os.read(watch, 100)
    path.write_text("x")
    assert os.read(watch, 100)
    os.close(watch)
    with pytest.raises(FileNotFoundError):
        syscalls.inotify(str(directory / "nothing"), 0x2)


def test_a_read_only_copy_of_a_file_cannot_be_opened_for_writing(tmp_path: Path) -> None:
    (tmp_path / "program").write_text("x")
    copy = syscalls.read_only_copy(str(tmp_path / "program"))
    with open(f"/proc/self/fd/{copy}") as file:
        assert file.read() == "x"
    with pytest.raises(OSError, match="Read-only file system"):
        os.open(f"/proc/self/fd/{copy}", os.O_WRONLY)
    os.close(copy)
    (tmp_path / "program").write_text("y")  # its own mount is as it was
    with pytest.raises(OSError, match="No such file"):
        syscalls.read_only_copy(str(tmp_path / "none"))
