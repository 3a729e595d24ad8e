"""`shoal node provision`: a machine that only has an sshd becomes a host of the cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.cluster import Hosts
from tests.support.process import running
from tests.system.test_ssh import key
from tools.lab.lab import Lab
from tools.lab.plan import address

pytestmark = pytest.mark.shoal_only


@contextmanager
def sshd(hosts: Hosts, number: int, folder: Path) -> Iterator[None]:
    """A server on a host of a lab; its sessions have the host's settings, and a /usr/local/bin of their own."""
    host, environment = hosts.lab.host(number), hosts.lab.plan.environment(number)
    hosts.ok(number, "sh", "-c", f"cp -a /usr/local/bin {folder}/bin; mount --bind {folder}/bin /usr/local/bin")
    hosts.ok(number, "mkdir", "-p", "/run/sshd")
    settings = " ".join(f'"{name}={value}"' for name, value in environment.items())
    options = {
        "ListenAddress": address(number),
        "HostKey": str(key(folder, "host")),
        "AuthorizedKeysFile": f"{key(folder, 'client')}.pub",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "prohibit-password",
        "SetEnv": settings,
    }
    (folder / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    command = host.command(["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")])
    with running(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as server:
        assert server.stderr is not None
        assert b"Server listening on" in server.stderr.readline()
        yield


@pytest.fixture
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    lab = Lab.up(tmp_path_factory.mktemp("provision"), 2)
    try:
        made = Hosts(lab)
        made.shoal_ok(1, "up")
        made.init()
        yield made
    finally:
        lab.down()


def test_a_machine_with_an_sshd_becomes_a_host(hosts: Hosts, tmp_path: Path) -> None:
    folder = tmp_path
    with sshd(hosts, 2, folder):
        lines = (f"IdentityFile {folder}/client", f"UserKnownHostsFile {folder}/known", "BatchMode yes")
        (folder / "ssh_config").write_text("".join(f"{line}\n" for line in lines))
        program = folder / "with-ssh"
        program.write_text(f'#!/bin/sh\nPATH={folder}/ours:$PATH exec "$@"\n')
        (folder / "ours").mkdir()
        (folder / "ours" / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {folder}/ssh_config "$@"\n')
        for each in (program, folder / "ours" / "ssh"):
            each.chmod(0o755)
        words = (str(program), str(hosts.lab.plan.folder / "bin/shoal"), "node", "provision",
                 f"ssh://root@{address(2)}", "--directory", f"{folder}/checkout/there")  # fmt: skip
        unknown = hosts.run(1, *words)
        assert unknown.returncode != 0
        assert "Host key verification failed" in unknown.stderr
        (folder / "known").write_text(f"{address(2)} {(folder / 'host.pub').read_text()}")
        first = hosts.ok(1, *words)
        assert "copying" in first
        assert hosts.seen(1) == {"node1": True, "node2": True}
        again = hosts.ok(1, *words)
        assert "up to date" in again
        assert "in this cluster already" in again
        assert hosts.seen(2) == {"node1": True, "node2": True}
