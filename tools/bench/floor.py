"""The floor: what conmon, an OCI runtime and the system calls cost with no engine around them.

Runs as a process of its own in private mount and network namespaces (`python -m tools.bench.floor FOLDER CONMON CRUN`).
Each line read names a piece of work of `WORK`, each line written is its time in milliseconds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path

from tools.bench.reference import CGROUPS, remove_cgroups
from tools.bench.syscalls import Bridge, mount_overlay, new_network_namespace, unmount

BURST = 50
WORKERS = 4


class Floor:
    """One container's way through conmon and the runtime, done by hand."""

    def __init__(self, folder: Path, conmon: str, runtime: str) -> None:
        self.folder = folder
        self.conmon = conmon
        self.runtime = [runtime, f"--root={folder}/runtime"]
        self.rootfs = folder / "rootfs"
        self.bridge = Bridge()
        self._numbers = count()
        self._template = self._specification()

    def _specification(self) -> dict[str, object]:
        """The runtime's own example, made to run without a terminal."""
        template = self.folder / "template"
        template.mkdir()
        subprocess.run([*self.runtime, "spec"], cwd=template, check=True)
        document: dict[str, object] = json.loads((template / "config.json").read_text())
        document["root"] = {"path": "rootfs", "readonly": False}
        return document

    def create(self, command: list[str], bridge: bool) -> tuple[str, subprocess.Popen[bytes]]:
        """Overlay, network namespace, bundle, conmon and `runtime create`; returns when the runtime has created."""
        identity = f"floor{next(self._numbers)}"
        bundle = self.folder / identity
        for name in ("rootfs", "upper", "work", "exits"):
            (bundle / name).mkdir(parents=True)
        mount_overlay(bundle / "rootfs", self.rootfs, bundle / "upper", bundle / "work")
        namespace = bundle / "netns"
        new_network_namespace(namespace, self.bridge.connect if bridge else None)
        (bundle / "config.json").write_text(json.dumps(self._document(identity, command, namespace)))
        monitor = self._monitor(identity, bundle)
        return identity, monitor

    def _document(self, identity: str, command: list[str], namespace: Path) -> dict[str, object]:
        document = json.loads(json.dumps(self._template))
        document["process"]["terminal"] = False
        document["process"]["args"] = command
        spaces = [space for space in document["linux"]["namespaces"] if space["type"] != "network"]
        document["linux"]["namespaces"] = [*spaces, {"type": "network", "path": str(namespace)}]
        document["linux"]["cgroupsPath"] = f"/{self.folder.name}/{identity}"
        loaded: dict[str, object] = document
        return loaded

    def _monitor(self, identity: str, bundle: Path) -> subprocess.Popen[bytes]:
        reading, writing = os.pipe()
        arguments = [self.conmon, "--sync", "-c", identity, "-u", identity, "-n", identity, "-b", str(bundle)]
        arguments += ["-r", self.runtime[0], f"--runtime-arg={self.runtime[1]}", "-p", f"{bundle}/pid"]
        arguments += ["--exit-dir", f"{bundle}/exits", "--socket-dir-path", str(bundle), "-l", f"k8s-file:{bundle}/log"]
        monitor = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(writing,),
            env={**os.environ, "_OCI_SYNCPIPE": str(writing)},
        )
        os.close(writing)
        with os.fdopen(reading) as pipe:
            answer = json.loads(pipe.readline() or '{"data": -1}')
        if answer.get("data", answer.get("pid", -1)) < 0:
            raise RuntimeError(f"conmon: {answer}")
        return monitor

    def start(self, identity: str) -> None:
        subprocess.run([*self.runtime, "start", identity], check=True)

    def delete(self, identity: str, force: bool = False) -> None:
        """Runtime state, mounts, namespace and files; the kernel removes the veth pair later, by itself."""
        subprocess.run([*self.runtime, "delete", *(["--force"] if force else []), identity], check=True)
        bundle = self.folder / identity
        unmount(bundle / "rootfs")
        unmount(bundle / "netns")
        shutil.rmtree(bundle)

    def cycle(self, bridge: bool) -> None:
        identity, monitor = self.create(["true"], bridge)
        self.start(identity)
        monitor.wait()
        self.delete(identity)

    def burst(self) -> float:
        """Only the starts are timed."""
        with ThreadPoolExecutor(WORKERS) as pool:
            begin = time.perf_counter()
            started = list(pool.map(lambda _: self._sleeper(), range(BURST)))
            took = time.perf_counter() - begin
            list(pool.map(lambda pair: self._end(*pair), started))
        return took * 1000

    def exec(self) -> float:
        """One `runtime exec` in a container that already runs."""
        identity, monitor = self._sleeper()
        try:
            begin = time.perf_counter()
            subprocess.run([*self.runtime, "exec", identity, "true"], check=True)
            return (time.perf_counter() - begin) * 1000
        finally:
            self._end(identity, monitor)

    def _sleeper(self) -> tuple[str, subprocess.Popen[bytes]]:
        identity, monitor = self.create(["sleep", "1000"], True)
        self.start(identity)
        return identity, monitor

    def _end(self, identity: str, monitor: subprocess.Popen[bytes]) -> None:
        self.delete(identity, force=True)
        monitor.wait()

    def cli_run(self) -> float:
        """A start of the docker CLI and a bridge cycle."""
        begin = time.perf_counter()
        subprocess.run(["docker", "--version"], check=True, stdout=subprocess.DEVNULL)
        self.cycle(True)
        return (time.perf_counter() - begin) * 1000

    def timed_cycle(self, bridge: bool) -> float:
        begin = time.perf_counter()
        self.cycle(bridge)
        return (time.perf_counter() - begin) * 1000


WORK: Mapping[str, Callable[[Floor], float]] = {
    "cycle": lambda floor: floor.timed_cycle(False),
    "cycle-bridge": lambda floor: floor.timed_cycle(True),
    "burst": Floor.burst,
    "exec": Floor.exec,
    "cli-run": Floor.cli_run,
}


def main(folder: Path, conmon: str, runtime: str) -> None:
    """Serves until the end of standard input."""
    with suppress(OSError):  # crun refuses a hybrid of cgroup v1 and v2; only this private mount namespace changes
        unmount(CGROUPS / "unified")
    floor = Floor(folder, conmon, runtime)
    try:
        for line in sys.stdin:
            print(WORK[line.strip()](floor), flush=True)
    finally:
        remove_cgroups(folder.name)


if __name__ == "__main__":
    threading.stack_size(1 << 20)
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
