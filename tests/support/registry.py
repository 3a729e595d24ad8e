"""Debian's docker-registry on a free loopback port, in a network namespace where one is named."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CONFIG = """version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}/store}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"{more}}}
{rest}
"""


class Registry:
    """Inside a `with` block it runs; `name` is what stands before a repository's name."""

    def __init__(self, root: Path, netns: Path | None = None, port: int = 0, http: str = "", rest: str = "") -> None:
        self.root, self.port = root, port or free_port()
        self._command = [*(("nsenter", f"--net={netns}") if netns else ()), "docker-registry", "serve"]
        self._more, self._rest = http, rest
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return f"localhost:{self.port}"

    def run(self, *command: str) -> str:
        """A program beside the registry; its output."""
        done = subprocess.run([*self._inside, *command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def __enter__(self) -> Self:
        self.root.mkdir(parents=True, exist_ok=True)
        config = self.root / f"config-{self.port}.yml"
        config.write_text(CONFIG.format(root=self.root, port=self.port, more=self._more, rest=self._rest))
        log = (self.root / "log").open("ab")
        self._process = subprocess.Popen([*self._command, str(config)], stdout=log, stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


__all__ = ["Any", "Mapping", "Registry", "json", "urllib"]
