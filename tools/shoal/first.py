"""A first container on a fresh engine: `python -m tools.shoal.first`, run by deploy/up.

The image is made from Debian's static busybox and loaded through the engine's own socket, so no registry is needed.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from shared import config
from shared.errors import NotFound, ShoalError
from tools.images import busybox, docker_archive

from . import api

IMAGE = "busybox"
GREETING = "Hello from a container of Shoal."
COMMAND = ("sh", "-c", f"echo '{GREETING}'")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def main() -> int:
    """Exit code 0 when the container ran and said what it should."""
    socket = config.load().socket_path
    try:
        if not has_image(socket):
            load_image(socket)
        client = shutil.which("docker")
        said = run_with_client(client, socket) if client else run_with_api(socket)
    except ShoalError as error:
        print(f"the first container failed: {error.message}", file=sys.stderr)
        return 1
    print(f'\n$ docker run --rm {IMAGE} {COMMAND[0]} {COMMAND[1]} "{COMMAND[2]}"\n{said}', end="")
    if not client:
        print("(There is no docker command here: apt-get install docker-cli, or docker.io on Debian 12.)")
    return 0 if said == f"{GREETING}\n" else 1


def has_image(socket: Path) -> bool:
    """Whether the engine has the image already."""
    try:
        api.call(socket, "GET", f"/images/{IMAGE}/json")
    except NotFound:
        return False
    return True


def load_image(socket: Path) -> None:
    """Makes the image and loads it."""
    machine = platform.machine()
    image = replace(busybox(), architecture=ARCHITECTURES.get(machine, machine))
    api.call(socket, "POST", "/images/load?quiet=1", docker_archive(image), "application/x-tar")


def run_with_client(client: str, socket: Path) -> str:
    """What the container printed, as the docker CLI shows it."""
    command = [client, "-H", f"unix://{socket}", "run", "--rm", IMAGE, *COMMAND]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise ShoalError(f"exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def run_with_api(socket: Path) -> str:
    """The same with bare requests, for machines without a docker CLI."""
    body = json.dumps({"Image": IMAGE, "Cmd": COMMAND}).encode()
    name = f"/containers/{api.call(socket, 'POST', '/containers/create', body)['Id']}"
    try:
        api.call(socket, "POST", f"{name}/start")
        api.call(socket, "POST", f"{name}/wait")
        return plain(api.request(socket, "GET", f"{name}/logs?stdout=1&stderr=1"))
    finally:
        api.call(socket, "DELETE", f"{name}?force=1")


def plain(stream: bytes) -> str:
    """The text of Docker's framed log stream: frames of 8 bytes header, whose last 4 are the length, big-endian."""
    text = b""
    while len(stream) >= 8:
        end = 8 + int.from_bytes(stream[4:8])
        text += stream[8:end]
        stream = stream[end:]
    return text.decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
