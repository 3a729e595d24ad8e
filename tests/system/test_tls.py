"""TCP with mutual TLS, as the docker CLI (`--tlsverify`) and docker-py use it; ssh by `docker system dial-stdio`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.engine import CLI, IMAGE, Engine
from tests.support.mutual_tls import Authority, Pair
from tests.support.shoal import Shoal

pytestmark = pytest.mark.shoal_only
PORT = 23_760


@dataclass
class World:
    """An engine with a TLS address and an open one, and certificates."""

    shoal: Shoal
    authority: Authority
    client: Pair
    server: Pair

    def docker(self, *arguments: str, pair: Pair | None, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """The docker CLI beside the engine, over TLS."""
        files = (f"--tlscert={pair.cert}", f"--tlskey={pair.key}") if pair else ()
        options = (f"-H=tcp://127.0.0.1:{PORT}", "--tlsverify", f"--tlscacert={self.authority.cert}", *files)
        command = ["nsenter", f"--net={self.shoal.netns}", CLI, *options, *arguments]
        environment = {**os.environ, "DOCKER_CONFIG": "/nonexistent"}
        return subprocess.run(command, input=input, capture_output=True, timeout=60, env=environment)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="shoal-tls-") as folder:
        authority = Authority(Path(folder))
        server, client = authority.sign("server", client=False), authority.sign("client", client=True)
        settings = {
            "SHOAL_HOSTS": f'["tcp://127.0.0.1:{PORT}","unix://{folder}/second.sock"]',
            "SHOAL_TLS_CERT": str(server.cert),
            "SHOAL_TLS_KEY": str(server.key),
            "SHOAL_TLS_CA": str(authority.cert),
        }
        with Shoal(settings) as shoal:
            Engine(shoal.host).load_busybox()
            assert Engine(f"unix://{folder}/second.sock").call("GET", "/_ping").body == b"OK"
            yield World(shoal, authority, client, server)


def test_the_cli(world: World) -> None:
    arguments = ("run", "--rm", "-i", "--network", "none", IMAGE, "sh", "-c", "cat; echo end")
    done = world.docker(*arguments, pair=world.client, input=b"hello\n" * 50_000)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout) == 300_004
    assert done.stdout.endswith(b"hello\nend\n")


def test_who_has_no_certificate_for_clients_is_refused(world: World) -> None:
    for pair in (None, world.server):
        done = world.docker("ps", pair=pair)
        assert done.returncode != 0
        assert b"certificate" in done.stderr


def test_who_speaks_no_tls_is_told(world: World) -> None:
    command = ["nsenter", f"--net={world.shoal.netns}", CLI, f"-H=tcp://127.0.0.1:{PORT}", "ps"]
    environment = {**os.environ, "DOCKER_CONFIG": "/nonexistent"}
    done = subprocess.run(command, capture_output=True, timeout=60, env=environment)
    assert done.returncode == 1
    assert b"Client sent an HTTP request to an HTTPS server." in done.stderr


def test_docker_py(world: World) -> None:
    script = (
        "import docker, docker.tls, os, sys\n"
        "[os.environ.pop(f'{name}_CA_BUNDLE', None) for name in ('REQUESTS', 'CURL')]\n"  # requests would prefer them
        "tls = docker.tls.TLSConfig(client_cert=(sys.argv[1], sys.argv[2]), ca_cert=sys.argv[3], verify=True)\n"
        f"client = docker.DockerClient(base_url='tcp://127.0.0.1:{PORT}', tls=tls)\n"
        f"print(client.containers.run('{IMAGE}', 'echo hello', network_mode='none', remove=True).decode())\n"
    )
    files = (str(world.client.cert), str(world.client.key), str(world.authority.cert))
    done = world.shoal.inside([sys.executable, "-c", script, *files])
    assert done.stdout.strip() == "hello"


def test_dial_stdio(world: World) -> None:
    """What `DOCKER_HOST=ssh://` runs on the other host: the CLI there finds the socket as it always does."""
    environment = {**os.environ, "DOCKER_HOST": world.shoal.host, "DOCKER_CONFIG": "/nonexistent"}
    request = b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    command = [CLI, "system", "dial-stdio"]
    done = subprocess.run(command, input=request, capture_output=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b"\r\n\r\nOK")
