"""A project of four services by Docker Compose over three hosts, each step asked of another host."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Hosts, engines
from tests.support.compose import compose_1, compose_2
from tests.support.debian_images import archive
from tests.support.software import POSTGRES, PYTHON, REDIS
from tests.support.waiting import until
from tools.lab.plan import address

pytestmark = [pytest.mark.shoal_only, pytest.mark.timeout(600)]
ALL = (1, 2, 3)
FOLDER = Path(__file__).parent / "compose"
SETTINGS = {"COMPOSE_API_VERSION": "1.44"}  # for 1.29, as in test_compose
PORTS = {"db": 5432, "queue": 6379, "web": 8000, "worker": 9000}
SECONDS = 120


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Three hosts, of which the first has the images."""
    with engines(tmp_path_factory.mktemp("project"), 3, **SETTINGS) as made:
        made.init()
        for recipe in (POSTGRES, REDIS, PYTHON):
            made.docker(1, "load", "-i", str(archive(recipe)))
        file = str(FOLDER / "app/Dockerfile")
        made.ok(1, "env", "DOCKER_BUILDKIT=0", "docker", "build", "-t", "app:1", "-f", file, str(FOLDER))
        made.join(2)
        made.join(3)
        yield made


class Project:
    def __init__(self, hosts: Hosts, program: Path) -> None:
        self.hosts, self.command = hosts, [str(program), "-p", "across", "-f", str(FOLDER / "across.yaml")]

    def run(self, host: int, *words: str, **environment: str) -> str:
        return self.hosts.ok(host, "env", *(f"{name}={value}" for name, value in environment.items()),
                             *self.command, *words)  # fmt: skip

    @contextmanager
    def running(self, host: int, *words: str) -> Iterator[subprocess.Popen[str]]:
        """What writes until it is ended."""
        command = self.hosts.lab.host(host).command([*self.command, *words])
        environment = {**os.environ, **self.hosts.lab.plan.environment(host), **SETTINGS}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def containers(self, host: int, *words: str) -> dict[str, tuple[str, str]]:
        """Running ones as a host tells of them: name to service and host."""
        ids = self.hosts.docker(host, "ps", "-q", "--filter", "label=com.docker.compose.project=across", *words).split()
        shown = json.loads(self.hosts.docker(host, "inspect", *ids))
        return {
            one["Name"][1:]: (one["Config"]["Labels"]["com.docker.compose.service"], one["Node"]["Name"])
            for one in shown
        }

    async def wait_healthy(self, service: str) -> None:
        [name] = [name for name, (of, _) in self.containers(2).items() if of == service]
        health = ("inspect", "-f", "{{.State.Health.Status}}", name)
        await until(lambda: self.hosts.docker(2, *health) == "healthy", SECONDS)

    def site(self, asker: int, asked: int, word: str = "") -> Mapping[str, Any]:
        """What the web app says, asked at the published port of any host; with a word it is told that."""
        head = f"POST / HTTP/1.0\\r\\nContent-Length: {len(word)}" if word else "GET / HTTP/1.0"
        script = f"printf '{head}\\r\\n\\r\\n{word}' | busybox nc -w 20 {address(asked)} 8000 | tail -n1"
        found: Any = json.loads(self.hosts.ok(asker, "sh", "-c", script))
        return found if isinstance(found, dict) else {}


def reach(hosts: Hosts, asker: str, asked: str, service: str) -> None:
    """By name and TCP."""
    script = f"getent hosts {asked} && exec 3<>/dev/tcp/{asked}/{PORTS[service]}"
    hosts.docker(1, "exec", asker, "bash", "-c", script)


@pytest.mark.parametrize("program", [compose_2, compose_1], ids=["2.26", "1.29"])
async def test_a_project_spans_the_cluster(hosts: Hosts, program: Any) -> None:
    project = Project(hosts, program())
    project.run(1, "up", "-d", "--scale", "worker=3")
    await project.wait_healthy("web")
    placed = project.containers(3)
    assert sorted(service for service, _ in placed.values()) == ["db", "queue", "web", "worker", "worker", "worker"]
    by_host = {host: name for name, (_, host) in placed.items()}
    assert set(by_host) == {"node1", "node2", "node3"}

    for name in by_host.values():
        if placed[name][0] == "worker":
            hosts.docker(1, "exec", "-d", name, "python3", "-m", "http.server", str(PORTS["worker"]))
            listens = "until exec 3<>/dev/tcp/127.0.0.1/9000; do :; done"
            hosts.docker(1, "exec", name, "bash", "-c", f"{listens} 2>/dev/null")
    for asker, asked in permutations(by_host.values(), 2):
        reach(hosts, asker, asked, placed[asked][0])

    words = {f"word{asker}{asked}" for asker in ALL for asked in ALL}
    with project.running(2, "logs", "-f", "--no-color", "worker") as logs:
        assert logs.stdout is not None
        for word in words:
            project.site(int(word[4]), int(word[5]), word)
        told: set[str] = set()
        while told != words:
            line = logs.stdout.readline()
            assert line, f"the log ended: {told}"
            told |= {line.split()[-1]} & words
    assert words == {word for word, _ in project.site(2, 3)["words"]}
    assert project.run(3, "exec", "-T", "web", "cat", "/run/secrets/password") == "a secret word"

    project.run(3, "up", "-d", "--scale", "worker=1", GREETING="ahoy")
    assert sorted(service for service, _ in project.containers(1).values()) == ["db", "queue", "web", "worker"]
    project.run(2, "restart", "-t", "1", "worker", "queue")
    project.run(3, "stop", "-t", "5", "db")
    project.run(2, "start", "db")
    for service in ("web", "db"):
        await project.wait_healthy(service)
    said = project.site(3, 2)
    assert (said["greeting"], {word for word, _ in said["words"]}) == ("ahoy", words)

    project.run(3, "down", "-v", "-t", "2")
    for number in ALL:
        assert hosts.docker(number, "ps", "-aq") == ""
        assert hosts.docker(number, "network", "ls", "-q", "--filter", "type=custom", "--filter", "name=across") == ""
        assert hosts.docker(number, "volume", "ls", "-q", "--filter", "name=across") == ""
