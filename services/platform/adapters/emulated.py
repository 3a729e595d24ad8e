"""The adapter for what runs by QEMU's user emulation: the kernel is told of the emulator (binfmt_misc).

Where the host has binfmt_misc mounted, entries live there and stay. Elsewhere it is mounted in the mount namespace of
the monitor alone: the host sees nothing of it, and the entries go with the last workload that needs them (kernels
before 6.7 keep them until the next boot).
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

from shared import hostmounts
from shared.contracts.common import Platform
from shared.errors import InvalidArgument

from ..domain import emulation
from ..domain.emulation import EMULATORS, INSTALL, Emulator

HOSTS = Path("/proc/sys/fs/binfmt_misc")
FOLDERS = "/usr/local/bin:/usr/bin:/bin"
_FLAGS = hostmounts.MS_NOSUID | hostmounts.MS_NODEV | hostmounts.MS_NOEXEC


class Emulated:
    """`architecture` is the host's; `place` a folder below a mount without propagation."""

    def __init__(self, architecture: str, place: Path, folders: str = FOLDERS) -> None:
        self._host, self._place, self._folders = architecture, place, folders
        own = {each.architecture for each in emulation.native(architecture)}
        self._emulators = {name: each for name, each in EMULATORS.items() if name not in own}

    def serves(self, platform: Platform) -> bool:
        return True

    def prepare(self, platform: Platform) -> None:
        emulator = self._emulators.get(platform.architecture)
        if emulator is None:
            raise self._cannot(platform, "no emulator for it is known")
        folder = self._entries(platform)
        if any(emulator.is_served_by(_text(entry)) for entry in _files(folder)):
            return
        program = self._program(emulator)
        if not program:
            raise self._cannot(platform, INSTALL)
        self._register(platform, emulator, folder, program)

    def _register(self, platform: Platform, emulator: Emulator, folder: Path, program: str) -> None:
        """Whoever comes second finds the entry there. One of ours that does not serve (its file went) is made anew."""
        for _ in range(2):
            try:
                _write(folder / "register", emulator.line(program))
            except OSError as error:
                if error.errno != errno.EEXIST:
                    raise self._cannot(platform, f"registering {program}: {error.strerror}") from None
            if emulator.is_served_by(_text(folder / emulator.entry)):
                return
            with suppress(OSError):  # another thread did it
                _write(folder / emulator.entry, b"-1")
        raise self._cannot(platform, f"binfmt_misc does not take {program}")

    def platforms(self) -> tuple[Platform, ...]:
        """Those with an emulator, or an entry of the host's; none where the kernel has no binfmt_misc."""
        if "binfmt_misc" not in _text(Path("/proc/filesystems")).split():
            return ()
        present = [_text(entry) for entry in _files(HOSTS)]
        return tuple(
            Platform(architecture=name)
            for name, each in self._emulators.items()
            if self._program(each) or any(each.is_served_by(text) for text in present)
        )

    def _entries(self, platform: Platform) -> Path:
        """The folder of entries, mounted if need be."""
        folder = HOSTS
        if not (folder / "register").exists():
            folder = self._place
            try:
                folder.mkdir(mode=0o700, exist_ok=True)
                hostmounts.mount("binfmt_misc", folder, "binfmt_misc", _FLAGS)
            except OSError as error:
                if error.errno != errno.EBUSY:
                    why = f"binfmt_misc cannot be mounted ({error.strerror}): use a kernel that has it"
                    raise self._cannot(platform, why) from None
        if _text(folder / "status").strip() == "disabled":
            raise self._cannot(platform, "binfmt_misc is disabled: write 1 to its file `status`")
        return folder

    def _program(self, emulator: Emulator) -> str:
        """The emulator's path: it has to be linked statically, since no library of its own is there in a container."""
        for name in (f"qemu-{emulator.qemu}-static", f"qemu-{emulator.qemu}"):
            found = shutil.which(name, path=self._folders)
            if found and is_static(found):
                return found
        return ""

    def _cannot(self, platform: Platform, why: str) -> InvalidArgument:
        return InvalidArgument(emulation.cannot_run(platform, self._host, why))


def is_static(path: str) -> bool:
    """Whether an ELF program of this host's byte order and 64 bits names no interpreter (dynamic linker)."""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            if head[:5] != b"\x7fELF\x02":
                return False
            start, size, count = (int.from_bytes(head[at : at + n], "little") for at, n in ((32, 8), (54, 2), (56, 2)))
            file.seek(start)
            table = file.read(size * count)
    except OSError:
        return False
    return all(int.from_bytes(table[at : at + 4], "little") != 3 for at in range(0, len(table), size or 1))  # PT_INTERP


def _files(folder: Path) -> list[Path]:
    try:
        return [each for each in folder.iterdir() if each.name not in ("register", "status")]
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _write(path: Path, data: bytes) -> None:
    """By one write, as the kernel wants it."""
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, data)
    finally:
        os.close(file)
