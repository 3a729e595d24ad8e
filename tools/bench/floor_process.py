"""Starts `tools.bench.floor` in namespaces of its own and asks it for samples."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.images import busybox_layer

PRIVATE_PREFIX = Path("/opt/shoal/runtime/bin")


class FloorError(RuntimeError):
    """The floor could not be measured; the text has its log."""


def program(name: str) -> str:
    """Where a runtime part is: in Shoal's private prefix, else on the PATH; raises `FloorError`."""
    private = PRIVATE_PREFIX / name
    found = str(private) if private.exists() else shutil.which(name)
    if found is None:
        raise FloorError(f"{name} is not installed")
    return found


class FloorProcess:
    """Inside a `with` block, `sample` gives the milliseconds of one piece of bare work."""

    def __init__(self, conmon: str = "", runtime: str = "") -> None:
        self._programs = [conmon or program("conmon"), runtime or program("crun")]
        self._folder = Path("/nonexistent")
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="floor-"))
        (self._folder / "rootfs").mkdir()
        subprocess.run(["tar", "-x", "-C", self._folder / "rootfs"], input=busybox_layer(), check=True)
        with (self._folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [
                    "unshare",
                    "--net",
                    "--mount",
                    sys.executable,
                    "-m",
                    "tools.bench.floor",
                    self._folder,
                    *self._programs,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self

    def sample(self, name: str) -> float:
        """One sample; raises `FloorError`."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise FloorError("not started")
        try:
            process.stdin.write(f"{name}\n")
            process.stdin.flush()
            return float(process.stdout.readline())
        except (OSError, ValueError):
            raise FloorError((self._folder / "log").read_text()[-1500:]) from None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)
