"""A smaller round with the docker CLI 20.10 (Debian's docker.io), which speaks API 1.41."""

import pytest

from tests.support.engine import IMAGE, OLD_CLI, Engine
from tests.support.terminal import Terminal
from tools.images import busybox, docker_archive


@pytest.fixture
def old(image_engine: Engine) -> Engine:
    client = Engine(image_engine.host, image_engine.netns)
    client.cli = OLD_CLI
    assert client.ok("--version").startswith("Docker version 20.10")
    return client


def test_run(old: Engine) -> None:
    result = old.docker("run", "--rm", "-e", "A=b", IMAGE, "sh", "-c", "echo $A; echo err >&2; exit 7")
    assert (result.code, result.out, result.err) == (7, "b\n", "err\n")
    assert old.docker("run", "--rm", "-i", IMAGE, "cat", input=b"half-close\n").out == "half-close\n"


@pytest.mark.parametrize(("command", "code"), [("nosuch", 127), ("/etc/not-executable", 126)])
def test_run_errors(old: Engine, command: str, code: int) -> None:
    result = old.docker("run", "--rm", IMAGE, command)
    assert result.code == code
    assert f'exec: "{command}": ' in result.err
    assert old.docker("run", "--rm", "-u", "bob", IMAGE, "true").code == 125


def test_terminal(old: Engine) -> None:
    with Terminal([old.cli, "run", "--rm", "-it", IMAGE], old.environment(), 30, 90) as shell:
        shell.expect(b"# ")
        shell.send(b"while [ \"$(stty size)\" != '30 90' ]; do usleep 20000; done; echo sized $((1+1))\n")
        shell.expect(b"sized 2")
        shell.send(b"exit 5\n")
        assert shell.end() == 5


def test_life_cycle(old: Engine) -> None:
    identity = old.ok("run", "-d", "--name", "life", "-p", "18060:80", "-v", "vol:/v", IMAGE, "sleep", "100")
    assert old.ok("ps", "-q", "--no-trunc") == identity
    assert "0.0.0.0:18060->80/tcp" in old.ok("ps")
    assert old.ok("exec", "life", "echo", "inside") == "inside"
    assert old.docker("exec", "life", "sh", "-c", "exit 9").code == 9
    assert old.ok("inspect", "--format", "{{.State.Status}}", "life") == "running"
    old.ok("restart", "-t", "0", "life")
    old.ok("pause", "life")
    old.ok("unpause", "life")
    old.ok("rename", "life", "renamed")
    assert old.ok("port", "renamed", "80").startswith("0.0.0.0:18060")
    old.ok("stop", "-t", "0", "renamed")
    assert old.ok("wait", "renamed") == "137"
    assert "Exited (137)" in old.ok("ps", "-a")
    old.ok("start", "renamed")
    old.ok("kill", "renamed")
    old.ok("rm", "-v", "renamed")


def test_logs_attach_events(old: Engine) -> None:
    old.ok("run", "-d", "-i", "--name", "talks", IMAGE, "sh", "-c", "echo early; read x; echo got $x; exit 4")
    result = old.docker("attach", "talks", input=b"word\n")
    assert result.code == 4
    assert old.docker("logs", "-f", "talks").out == "early\ngot word\n"
    assert old.docker("logs", "--tail", "1", "talks").out == "got word\n"
    stamp = old.ok("info", "--format", "{{.SystemTime}}")
    assert " die " in old.ok("events", "--since", "10m", "--until", stamp, "--filter", "container=talks")


def test_images_volumes_networks(old: Engine) -> None:
    assert old.ok("load", input=docker_archive(busybox("old:1"))) == "Loaded image: old:1"
    assert "old" in old.ok("images")
    old.ok("tag", "old:1", "old:2")
    assert old.docker_bytes("save", "old:1").stdout
    assert old.ok("rmi", "old:2") == "Untagged: old:2"
    old.ok("history", "old:1")
    old.ok("image", "inspect", "old:1")
    assert old.ok("volume", "create", "vol") == "vol"
    assert old.ok("volume", "ls", "-q") == "vol"
    assert "bridge" in old.ok("network", "ls")
    for command in (["info"], ["version"], ["system", "df"], ["system", "df", "-v"]):
        old.ok(*command)
