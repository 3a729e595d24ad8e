"""An engine to be measured: its API, its containers of this run, and the processes that count as its own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tools.bench.client import Api, ApiError
from tools.bench.processes import ProcessSet, peer
from tools.images import busybox, docker_archive

IMAGE = "busybox:latest"
LABEL = "tools.bench"
FOREVER = ["sleep", "1000000"]


class Engine:
    """Opened with a name and `unix:///path`; everything it creates carries a label and is removed by `sweep`."""

    def __init__(self, name: str, host: str, processes: ProcessSet | None = None, disposable: bool = False) -> None:
        if not host.startswith("unix://"):
            raise ValueError(f"engine {name}: {host!r} is no unix:// address")
        self.name = name
        self.host = host
        self.path = host.removeprefix("unix://")
        self.api = Api(self.path)
        self.processes = processes or ProcessSet(roots=(peer(self.path),))
        self.disposable = disposable
        self.population: list[str] = []
        self.pile: list[str] = []
        self.images: list[str] = []
        """Names of images to be removed at the end."""
        self.prepared = 0.0
        """When it was, by the monotonic clock."""

    def prepare(self) -> None:
        """Loads the image where it lacks; removes what an earlier run left."""
        self.sweep()
        try:
            self.api.call("GET", f"/images/{IMAGE}/json")
        except ApiError as error:
            if error.status != 404:
                raise
            command = ["docker", "--host", self.host, "load", "--quiet"]
            subprocess.run(command, input=docker_archive(busybox()), check=True, capture_output=True)
        self.prepared = time.monotonic()

    def create(self, command: list[str], network: str = "none", **more: Any) -> str:
        """Creates a container and returns its id."""
        host = {"NetworkMode": network, **more.pop("HostConfig", {})}
        body = {"Image": IMAGE, "Cmd": command, "Labels": {LABEL: self.name}, "HostConfig": host, **more}
        identity: str = self.api.json("POST", "/containers/create", body)["Id"]
        return identity

    def start(self, container: str) -> None:
        self.api.call("POST", f"/containers/{container}/start")

    def wait(self, container: str) -> int:
        """The exit code, once the container has ended."""
        code: int = self.api.json("POST", f"/containers/{container}/wait")["StatusCode"]
        return code

    def remove(self, container: str, force: bool = False) -> None:
        self.api.call("DELETE", f"/containers/{container}?v=1{'&force=1' if force else ''}")

    @contextmanager
    def container(self, command: list[str], network: str = "none", **more: Any) -> Iterator[str]:
        """A created container that is removed at the end."""
        identity = self.create(command, network, **more)
        try:
            yield identity
        finally:
            self.remove(identity, force=True)

    def grow(self, size: int) -> None:
        """Starts containers that sleep, on the bridge, until `size` of them run."""
        while len(self.population) < size:
            identity = self.create(FOREVER, "bridge")
            self.population.append(identity)
            self.start(identity)

    def heap(self, size: int) -> None:
        """Creates containers that are never started, until there are `size` of them."""
        while len(self.pile) < size:
            self.pile.append(self.create(["true"]))

    def sweep(self) -> None:
        """Removes every container that a bench made here."""
        query = quote(f'{{"label":["{LABEL}"]}}')
        for found in self.api.json("GET", f"/containers/json?all=1&filters={query}"):
            self.remove(found["Id"], force=True)
        self.population.clear()
        self.pile.clear()

    def close(self) -> None:
        """Leaves nothing behind, except in an engine that ends with the bench anyway."""
        if not self.disposable and Path(self.path).exists():
            self.sweep()
            for name in self.images:
                with suppress(ApiError):
                    self.api.call("DELETE", f"/images/{name}?force=1")
        self.api.close()
