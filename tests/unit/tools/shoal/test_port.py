from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.errors import InvalidArgument
from tests.support.answers import answering
from tools.shoal.__main__ import app
from tools.shoal.port import bindings, lines


def place(port: str = "", address: str = "") -> dict[str, str]:
    return {"HostIp": address, "HostPort": port}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8080:80", {"80/tcp": [place("8080")]}),
        ("53:53/udp", {"53/udp": [place("53")]}),
        ("127.0.0.1:8080:80", {"80/tcp": [place("8080", "127.0.0.1")]}),
        ("127.0.0.1::80", {"80/tcp": [place("", "127.0.0.1")]}),
        ("[::1]:8080:80", {"80/tcp": [place("8080", "::1")]}),
        ("[::1]::80", {"80/tcp": [place("", "::1")]}),
        ("80", {"80/tcp": [place()]}),
        ("8000-8001:80-81", {"80/tcp": [place("8000")], "81/tcp": [place("8001")]}),
        ("8000-8001:80", {"80/tcp": [place("8000-8001")]}),
    ],
)
def test_ports_as_docker_run_takes_them(text: str, expected: dict[str, list[dict[str, str]]]) -> None:
    assert bindings([text], "add") == expected


def test_a_port_of_the_container_alone_is_removed_everywhere() -> None:
    assert bindings(["80", "8080:80", "8443:443"], "rm") == {"80/tcp": [], "443/tcp": [place("8443")]}
    assert bindings(["80", "8080:80"], "add") == {"80/tcp": [place(), place("8080")]}


@pytest.mark.parametrize("text", ["", "x", "0", "65536", "8080:", "80/xyz", "8000-8002:80-81", "9-8:80", "٣:80", ":"])
def test_what_is_no_port(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"invalid p|ranges of different length"):
        bindings([text], "add")


def test_lines_are_docker_ports() -> None:
    shown = {"80/tcp": [place("8080", "0.0.0.0"), place("8080", "::")], "53/udp": None}
    assert lines(shown) == ["80/tcp -> 0.0.0.0:8080", "80/tcp -> [::]:8080"]


def run(tmp_path: Path, *arguments: str) -> tuple[int, str, list[str]]:
    ports = {"80/tcp": [place("8080", "0.0.0.0")]}
    answers = {
        "GET /containers/web/json": (200, json.dumps({"NetworkSettings": {"Ports": ports}}).encode()),
        "POST /containers/web/ports": (200, json.dumps({"Ports": {}}).encode()),
    }
    (tmp_path / "docker.sock").unlink(missing_ok=True)
    with answering(tmp_path / "docker.sock", answers) as asked:
        done = CliRunner().invoke(app, ["port", *arguments], env={"SHOAL_RUN_DIR": str(tmp_path)})
    return done.exit_code, done.output, asked


def test_they_are_shown_and_changed(tmp_path: Path) -> None:
    assert run(tmp_path, "web") == (0, "80/tcp -> 0.0.0.0:8080\n", ["GET /containers/web/json"])
    for action in ("add", "rm"):
        assert run(tmp_path, "web", action, "8080:80", "81") == (0, "", ["POST /containers/web/ports"])


@pytest.mark.parametrize("arguments", [("web", "add"), ("web", "change", "80")])
def test_what_is_no_command(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, _, asked = run(tmp_path, *arguments)
    assert (code, asked) == (1, [])


def test_the_help_teaches() -> None:
    text = CliRunner().invoke(app, ["port", "--help"]).output
    assert "shoal port web add 8080:80            port 8080 of the host" in text
