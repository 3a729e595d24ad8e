"""Debian's docker-registry on a free loopback port, in a network namespace where one is named."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

CONFIG = """version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}/store}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"{http}}}
{rest}
"""
SECONDS = 20


class Registry:
    """Inside a `with` block it runs; `name` is what stands before a repository's name.

    `http` and `rest` are more of its configuration.
    """

    def __init__(self, root: Path, netns: Path | None = None, port: int = 0, http: str = "", rest: str = "") -> None:
        self.root, self.port = root, port or free_port()
        self._inside = ("nsenter", f"--net={netns}") if netns else ()
        self._http, self._rest = http, rest
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
        config, log = self.root / f"{self.port}.yml", self.root / f"{self.port}.log"
        config.write_text(CONFIG.format(root=self.root, port=self.port, http=self._http, rest=self._rest))
        with log.open("wb") as output:
            command = [*self._inside, "docker-registry", "serve", str(config)]
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        deadline = time.monotonic() + SECONDS
        while not self._listens():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        return self

    def _listens(self) -> bool:
        """As the kernel tells: nobody has to knock."""
        assert self._process is not None
        table = Path(f"/proc/{self._process.pid}/net/tcp").read_text()
        return f"0100007F:{self.port:04X} 00000000:0000 0A" in table

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
