"""`DOCKER_HOST=ssh://`: the CLI, ssh, a real sshd, `docker system dial-stdio`, this engine's socket."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.engine import CLI, IMAGE, Engine
from tests.support.process import running

PORT = 22_022


def key(folder: Path, name: str) -> Path:
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@contextmanager
def sshd(folder: Path, netns: Path, docker_host: str) -> Iterator[None]:
    """A server on loopback of a network namespace; its sessions have DOCKER_HOST."""
    Path("/run/sshd").mkdir(exist_ok=True)
    options = {
        "Port": str(PORT),
        "ListenAddress": "127.0.0.1",
        "HostKey": str(key(folder, "host")),
        "AuthorizedKeysFile": f"{key(folder, 'client')}.pub",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "prohibit-password",
        "SetEnv": f"DOCKER_HOST={docker_host}",
    }
    (folder / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    command = ["nsenter", f"--net={netns}", "/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")]
    with running(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as server:
        assert server.stderr is not None
        assert b"Server listening on" in server.stderr.readline()
        yield


def client(folder: Path) -> dict[str, str]:
    """The environment of a CLI whose ssh has a configuration of its own."""
    options = ("StrictHostKeyChecking no", "UserKnownHostsFile /dev/null", "LogLevel ERROR", "BatchMode yes")
    lines = (f"IdentityFile {folder}/client", *options)
    (folder / "ssh_config").write_text("".join(f"{line}\n" for line in lines))
    wrapper = folder / "bin" / "ssh"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {folder}/ssh_config "$@"\n')
    wrapper.chmod(0o755)
    config = folder / "docker"
    return {**os.environ, "PATH": f"{wrapper.parent}:{os.environ['PATH']}", "DOCKER_CONFIG": str(config)}


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="shoal-ssh-") as made:
        yield Path(made)


def test_over_ssh(engine: Engine, folder: Path) -> None:
    assert engine.netns is not None
    inside = ["nsenter", f"--net={engine.netns}", CLI]
    with sshd(folder, engine.netns, engine.host):
        environment = client(folder)

        def docker(*arguments: str, input: bytes = b"") -> bytes:
            done = subprocess.run(
                [*inside, *arguments], input=input, capture_output=True, timeout=60, env=environment, check=False
            )
            assert done.returncode == 0, done
            return done.stdout

        docker("context", "create", "far", "--docker", f"host=ssh://root@127.0.0.1:{PORT}")
        run = ("--context", "far", "run", "--rm", "-i", "--network", "none", IMAGE, "sh", "-c", "cat; echo end")
        assert docker(*run, input=b"hello\n") == b"hello\nend\n"
