"""Debian's packages for tests, from the mirror that this machine is set up for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tools.toolchain.debian import PrivateApt

SUITE = "trixie"


def packages(
    folder: Path, names: Iterable[str], assumed: Iterable[str] = (), architecture: str = "", status: str = ""
) -> list[Path]:
    """The files of packages with all they depend on, in `folder`, which is made here; see `PrivateApt`."""
    folder.mkdir()
    apt = PrivateApt(folder, (SUITE,), assumed, architecture, status)
    apt.update()
    return apt.download(SUITE, names)
