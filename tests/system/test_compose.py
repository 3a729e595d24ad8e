"""A project of four services by Docker Compose of both generations: up, in use, changed, scaled, down."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import pytest

from tests.support.compose import compose_1, compose_2
from tests.support.debian_images import load
from tests.support.engine import Engine, unique
from tests.support.software import POSTGRES, PYTHON, REDIS

FILE = Path(__file__).parent / "compose" / "compose.yaml"
SECONDS = 60
SETTINGS = {
    "COMPOSE_IGNORE_ORPHANS": "1",
    # 1.29 looks for what images do not show any more since API 1.45, here as with Docker 25 and later
    "COMPOSE_API_VERSION": "1.44",
}
T = TypeVar("T")
pytestmark = pytest.mark.timeout(600)  # Compose and the images are made when they are not there yet


class Project:
    """The project of one test."""

    def __init__(self, engine: Engine, program: Path) -> None:
        self.engine, self.program, self.name = engine, program, unique("project")

    def run(self, *arguments: str, **environment: str) -> str:
        """Output of a call of Compose that has to succeed."""
        command = [str(self.program), "-p", self.name, "-f", str(FILE), *arguments]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=SECONDS * 2,
            env=self.engine.environment({**SETTINGS, **environment}),
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def containers(self, service: str, *, all: bool = False) -> list[str]:
        """Names of a service's containers."""
        labels = [f"com.docker.compose.project={self.name}", f"com.docker.compose.service={service}"]
        listed = self.engine.call("GET", f"/containers/json?all={int(all)}&filters={label(*labels)}")
        return sorted(each["Names"][0].removeprefix("/") for each in listed.json)

    def wait_healthy(self, service: str) -> None:
        [name] = self.containers(service)
        until(lambda: self.engine.inspect(name)["State"]["Health"]["Status"] == "healthy")

    def site(self, word: str = "") -> Mapping[str, Any]:
        """What the web app says; with a word it is told that first."""
        [name] = self.containers("web")
        [where] = self.engine.inspect(name)["NetworkSettings"]["Ports"]["8000/tcp"]
        method = f"POST / HTTP/1.0\r\nContent-Length: {len(word)}" if word else "GET / HTTP/1.0"
        with self.engine.connect((where["HostIp"], int(where["HostPort"]))) as connection:
            connection.settimeout(SECONDS)
            connection.sendall(f"{method}\r\n\r\n{word}".encode())
            answer = b""
            while piece := connection.recv(4096):
                answer += piece
        said: Mapping[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2]) if not word else {}
        return said

    def written(self, words: Sequence[str]) -> Mapping[str, str]:
        """The words and who wrote them, once all are there."""

        def found() -> dict[str, str] | None:
            there: dict[str, str] = dict(self.site()["words"])
            return there if there.keys() >= set(words) else None

        return until(found)


def label(*labels: str) -> str:
    """The value of `filters` that asks for these labels."""
    return quote(json.dumps({"label": labels}))


def until(look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


@pytest.fixture(params=[compose_2, compose_1], ids=["2.26", "1.29"])
def project(request: pytest.FixtureRequest, image_engine: Engine) -> Project:
    load(image_engine, POSTGRES, REDIS, PYTHON)
    return Project(image_engine, request.param())


def test_a_project_lives(project: Project) -> None:
    engine = project.engine
    project.run("up", "-d", "--scale", "worker=2")
    assert [len(project.containers(name)) for name in ("db", "queue", "web", "worker")] == [1, 1, 1, 2]
    assert project.containers("tables") == project.containers("tool", all=True) == []
    project.wait_healthy("web")
    assert project.run("port", "web", "8000").startswith("127.0.0.1:")

    words = [f"word{number}" for number in range(20)]
    for word in words:
        project.site(word)
    assert set(project.written(words)) == set(words)
    assert project.run("logs", "worker").count("wrote word") == len(words)
    assert project.run("exec", "-T", "web", "cat", "/run/secrets/password") == "a secret word"
    assert project.run("--profile", "debug", "run", "--rm", "-T", "tool").strip() == "0"
    assert project.containers("tool", all=True) == []
    assert "web.py" in project.run("top", "web")

    before = engine.inspect(project.containers("db")[0])["Id"]
    project.run("up", "-d", "--scale", "worker=1", GREETING="ahoy")
    assert len(project.containers("worker")) == 1
    project.wait_healthy("web")
    assert project.site()["greeting"] == "ahoy"
    assert engine.inspect(project.containers("db")[0])["Id"] == before, "what has not changed is left alone"
    project.run("restart", "-t", "1", "worker", "queue")
    project.run("pause", "web")
    project.run("unpause", "web")
    project.run("stop", "-t", "5", "db")
    project.run("start", "db")
    project.wait_healthy("db")
    assert set(dict(project.site()["words"])) == set(words), "a volume keeps what was written"

    project.run("down", "-v", "-t", "2")
    mine = label(f"com.docker.compose.project={project.name}")
    for path in ("/containers/json?all=1&filters=", "/networks?filters="):
        assert engine.call("GET", path + mine).json == []
    assert not engine.call("GET", f"/volumes?filters={mine}").json["Volumes"]
