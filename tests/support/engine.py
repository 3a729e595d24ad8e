"""The engine that system tests run against: any Docker API socket, with the clients that use it.

SHOAL_TEST_ENGINE chooses: `shoal` (default: a private engine of this checkout), `reference` (a private dockerd 20.10),
or `unix:///path` of an engine that runs already and is there for nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from docker.client import DockerClient

from tests.support.namespaces import socket_in
from tests.support.process import running
from tools.bench import reference
from tools.bench.client import UnixConnection
from tools.images import busybox, docker_archive

IMAGE = "busybox"
CLI = shutil.which("docker", path="/usr/local/bin:/usr/bin") or "docker"
OLD_CLI = str(reference.PROGRAMS / "docker")
PREDEFINED = frozenset({"bridge", "host", "none"})


@dataclass(frozen=True)
class Result:
    """What a client printed and how it ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Answer:
    """An HTTP answer with its body whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The text of a Docker error."""
        text: str = self.json["message"]
        return text


class Engine:
    """Clients of one engine. Ports that it publishes are reached with `connect`."""

    def __init__(self, host: str, netns: Path | None = None) -> None:
        self.host = host
        self.netns = netns
        self.path = host.removeprefix("unix://")
        self.cli = CLI

    def docker(
        self, *arguments: str, input: bytes | None = None, timeout: float = 60, env: Mapping[str, str] | None = None
    ) -> Result:
        """One call of the docker CLI; its standard input is empty unless given."""
        done = self.docker_bytes(*arguments, input=input, timeout=timeout, env=env)
        return Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def docker_bytes(
        self, *arguments: str, input: bytes | None = None, timeout: float = 60, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """As `docker`, with the output as bytes."""
        feed: dict[str, Any] = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        command = [self.cli, *arguments]
        return subprocess.run(command, capture_output=True, timeout=timeout, env=self.environment(env), **feed)

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**os.environ, "DOCKER_HOST": self.host, "DOCKER_CONFIG": "/nonexistent", **(more or {})}

    def ok(self, *arguments: str, input: bytes | None = None, timeout: float = 60) -> str:
        """Output of a call that has to succeed, without the last line end."""
        result = self.docker(*arguments, input=input, timeout=timeout)
        assert result.code == 0, f"docker {' '.join(arguments)}: {result}"
        return result.out.removesuffix("\n")

    def run(self, *arguments: str, timeout: float = 60) -> str:
        """`docker run --rm` that has to succeed."""
        return self.ok("run", "--rm", *arguments, timeout=timeout)

    def start(self, *arguments: str) -> str:
        """`docker run -d`; the id."""
        return self.ok("run", "-d", *arguments)

    def logged(self, name: str, text: str) -> None:
        """Returns once the container has written a line with this text."""
        with running([self.cli, "logs", "-f", name], stdout=subprocess.PIPE, env=self.environment()) as follower:
            assert follower.stdout is not None
            assert any(text.encode() in line for line in follower.stdout), f"{name} ended without writing {text!r}"

    def inspect(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/containers/{name}/json").json
        return found

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> Answer:
        """One HTTP request on a connection of its own; `body` goes as JSON, `data` as it is."""
        sent = dict(headers or {})
        if body is not None:
            data = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = UnixConnection(self.path)
        connection.timeout = timeout
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    @contextmanager
    def raw(self, timeout: float = 30) -> Iterator[socket.socket]:
        """A bare connection, for what no client would send."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(self.path)
            yield connection

    def python(self) -> DockerClient:
        """docker-py."""
        return DockerClient(base_url=self.host, timeout=60)

    def connect(self, address: tuple[str, int], kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """A socket to a published port, made where the engine publishes."""
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        connection = socket_in(self.netns or Path("/proc/self/ns/net"), kind, family)
        try:
            connection.connect(address)
        except OSError:
            connection.close()
            raise
        return connection

    def load_busybox(self) -> None:
        if self.call("GET", f"/images/{IMAGE}/json").status == 404:
            self.ok("load", input=docker_archive(busybox()))

    def sweep(self) -> None:
        """Removes all containers, and the networks, volumes and images that tests made."""
        listed = self.call("GET", "/containers/json?all=1")
        assert listed.status == 200, f"the engine does not serve any more: {listed.body!r}"
        for container in listed.json:
            self.call("DELETE", f"/containers/{container['Id']}?force=1&v=1")
        for network in self.call("GET", "/networks").json:
            if network["Name"] not in PREDEFINED:
                self.call("DELETE", f"/networks/{network['Id']}")
        for volume in self.call("GET", "/volumes").json["Volumes"] or []:
            self.call("DELETE", f"/volumes/{volume['Name']}?force=1")

    def sweep_images(self) -> None:
        """Removes all images but the busybox of the tests."""
        for image in self.call("GET", "/images/json").json:
            names = [name for name in image["RepoTags"] or [image["Id"]] if name != "<none>:<none>"]
            for name in names or [image["Id"]]:
                if name != f"{IMAGE}:latest":
                    self.call("DELETE", f"/images/{quote(name, safe='')}?force=1")


def unique(stem: str) -> str:
    """A name that nothing else has."""
    return f"{stem}-{uuid.uuid4().hex[:10]}"


def fields(text: str) -> Sequence[Sequence[str]]:
    """The words of each line."""
    return [line.split() for line in text.splitlines()]
