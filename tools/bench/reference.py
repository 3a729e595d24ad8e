"""Private engines to compare with: Debian's dockerd 20.10 and podman 4.3, each in a folder, network namespace and mount
namespace of its own.

Nothing of the machine is touched: bridge, firewall rules and mounts live in namespaces that vanish with the engine's
processes, cgroups under one parent of a unique name that `stop` removes. Needs root and the programs (`dockerd`,
`containerd`, `runc`; `podman`, `conmon`, `crun`, `netavark`). Ports that containers publish are reached from inside
`netns`, not from the host's own network.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.bench.processes import matching, tree

START_SECONDS = 30.0
STOP_SECONDS = 15.0
PROGRAMS = Path(os.environ.get("SHOAL_REFERENCE", "/opt/shoal/reference")) / "bin"
"""dockerd 20.10 and what it starts, as `python -m tools.toolchain --reference` makes them; else those of the PATH."""
REGISTRY_PORT = 15015
"""Where a registry on loopback needs no TLS; Docker asks this of none there."""
CGROUPS = Path("/sys/fs/cgroup")
PREPARE = (
    "ip link set lo up; umount /sys/fs/cgroup/unified 2>/dev/null; "
    'sysctl -qw net.ipv4.ip_forward=1; [ -z "$PRIVATE_RUN" ] || mount -t tmpfs tmpfs /run; exec "$@"'
)


class ReferenceError(RuntimeError):
    """The engine could not be started; the text says what is missing, or has the end of its log."""


class ReferenceEngine:
    """One engine that runs between `start` and `stop`, or inside a `with` block."""

    name = "engine"
    programs: Sequence[str] = ()
    """What it needs."""
    hint = ""
    """How that is installed."""

    def __init__(self) -> None:
        self.id = uuid.uuid4().hex[:8]
        self.root = Path(tempfile.mkdtemp(prefix=f"{self.name}-{self.id}-"))
        self.root.chmod(0o711)
        self.socket = self.root / "api.sock"
        self.log = self.root / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """What DOCKER_HOST is set to."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def netns(self) -> Path:
        """Network namespace in which this engine publishes ports."""
        return Path(f"/proc/{self.pid}/ns/net")

    def command(self) -> Sequence[str]:
        raise NotImplementedError(self.name)

    def environment(self) -> dict[str, str]:
        return {}

    def start(self) -> Self:
        """Returns when the API answers; raises `ReferenceError` when it does not within 30 s."""
        environment = {**os.environ, "PRIVATE_RUN": "", **self.environment()}
        missing = [each for each in self.programs if not shutil.which(each, path=environment["PATH"])]
        if missing:
            self.stop()
            raise ReferenceError(f"{self.name} needs {', '.join(missing)}; first: {self.hint}")
        isolated = ("unshare", "--net", "--mount", "--propagation", "slave", "sh", "-c", PREPARE, "sh")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*isolated, *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.socket):
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace")[-1500:]
                self.stop()
                raise ReferenceError(f"{self.name} does not start:\n{tail}")
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """Ends the engine and its containers at once (nothing of them is to be kept), removes folder and cgroups."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        end_all(str(self.root))
        remove_cgroups(f"*{self.id}*")
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


class Dockerd(ReferenceEngine):
    """dockerd as Debian 12 ships it: containerd, runc, overlay2, userland proxy."""

    name = "dockerd"
    programs = ("dockerd", "containerd", "runc", "iptables")
    hint = "tests/run --static (it installs what tests need, a dockerd among it)"

    def environment(self) -> dict[str, str]:
        return {"PATH": f"{PROGRAMS}:{os.environ.get('PATH', os.defpath)}"}

    def command(self) -> Sequence[str]:
        return (
            "dockerd",
            f"--data-root={self.root}/data",
            f"--exec-root={self.root}/exec",
            f"--pidfile={self.root}/pid",
            f"--host={self.host}",
            f"--cgroup-parent=/reference-{self.id}",
            "--exec-opt=native.cgroupdriver=cgroupfs",  # with systemd on cgroup v2 it would ask that for a slice
            "--bip=172.31.77.1/20",
            "--default-ulimit=nofile=20000:20000",
            "--group=root",
        )


class Podman(ReferenceEngine):
    """podman's Docker-compatible API service, with conmon and crun."""

    name = "podman"
    programs = ("podman", "conmon", "crun")
    hint = "apt-get install --no-install-recommends podman conmon crun netavark aardvark-dns"

    def environment(self) -> dict[str, str]:
        configuration = self.root / "containers.conf"
        configuration.write_text(
            '[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "crun"\n'
            f'lock_type = "file"\n[network]\nnetwork_config_dir = "{self.root}/networks"\n'
        )
        registries = self.root / "registries.conf"
        registries.write_text(
            'unqualified-search-registries = ["docker.io"]\n'
            f'[[registry]]\nlocation = "localhost:{REGISTRY_PORT}"\ninsecure = true\n'
        )
        return {
            "CONTAINERS_CONF": str(configuration),
            "CONTAINERS_REGISTRIES_CONF": str(registries),
            "PRIVATE_RUN": "1",
        }

    def command(self) -> Sequence[str]:
        return (
            "podman",
            f"--root={self.root}/data",
            f"--runroot=/run/{self.root.name}/containers",
            f"--tmpdir=/run/{self.root.name}/libpod",
            "system",
            "service",
            "--time=0",
            self.host,
        )


def answers(path: Path) -> bool:
    """Whether an API behind the unix socket answers `GET /_ping`."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(path))
            client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in client.recv(64)
    except OSError:
        return False


def end_all(text: str) -> None:
    """Kills what carries text in its command line (shims and monitors name their engine's folder) and all below."""
    deadline = time.monotonic() + STOP_SECONDS
    while (found := matching(re.escape(text))) and time.monotonic() < deadline:
        for pid in tree(found):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def cgroups(name: str) -> Iterator[Path]:
    """The cgroups of this name (a glob pattern): on v1 one in each hierarchy, on v2 one."""
    yield from CGROUPS.glob(name)
    yield from CGROUPS.glob(f"*/{name}")


def remove_cgroups(name: str) -> None:
    """Removes the cgroups of this name (a glob pattern) with all below them; one that still holds a process stays."""
    for parent in cgroups(name):
        for folder, _, _ in os.walk(parent, topdown=False):
            with suppress(OSError):
                os.rmdir(folder)
