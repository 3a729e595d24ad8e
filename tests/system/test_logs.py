"""`docker logs`: history, follow, tail, since, until, timestamps; nothing lost."""

import hashlib
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from tests.support.engine import IMAGE, Engine
from tests.support.process import running

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"


def written(engine: Engine, name: str, script: str) -> str:
    engine.docker("run", "--name", name, IMAGE, "sh", "-c", script)
    return name


def test_streams_are_kept_apart(engine: Engine) -> None:
    result = engine.docker("logs", written(engine, "both", "echo out; echo err >&2"))
    assert (result.code, result.out, result.err) == (0, "out\n", "err\n")


def test_logs_of_a_terminal_are_raw(engine: Engine) -> None:
    engine.docker("run", "-t", "--name", "tty", IMAGE, "sh", "-c", "echo out; echo err >&2")
    assert engine.docker("logs", "tty").out == "out\r\nerr\r\n"


def test_logs_before_the_start_are_empty(engine: Engine) -> None:
    engine.ok("create", "--name", "new", IMAGE)
    assert engine.docker("logs", "new") == engine.docker("logs", "--tail", "3", "new")
    assert engine.docker("logs", "new").out == ""


@pytest.mark.parametrize(
    ("tail", "expected"), [("2", "4\n5\n"), ("0", ""), ("all", "1\n2\n3\n4\n5\n"), ("99", "1\n2\n3\n4\n5\n")]
)
def test_tail(engine: Engine, tail: str, expected: str) -> None:
    written(engine, "lines", "seq 5")
    assert engine.docker("logs", "--tail", tail, "lines").out == expected


def test_timestamps(engine: Engine) -> None:
    lines = engine.docker("logs", "-t", written(engine, "stamped", "echo a; echo b")).out.splitlines()
    assert [re.sub(f"^{STAMP} ", "", line) for line in lines] == ["a", "b"]
    stamps = [line.split()[0] for line in lines]
    assert stamps == sorted(stamps)


def test_since_and_until(engine: Engine) -> None:
    written(engine, "timed", "echo early; sleep 2; echo late")
    first, last = (line.split()[0] for line in engine.docker("logs", "-t", "timed").out.splitlines())
    between = (datetime.fromisoformat(first[:26] + "+00:00") + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert engine.docker("logs", "--since", between, "timed").out == "late\n"
    assert engine.docker("logs", "--until", between, "timed").out == "early\n"
    assert engine.docker("logs", "--since", "1h", "timed").out == "early\nlate\n"
    seconds = int(datetime.fromisoformat(last[:19] + "+00:00").timestamp())
    answer = engine.call("GET", f"/containers/timed/logs?stdout=1&since={seconds}.{last[20:29]}")
    assert answer.body.endswith(b"late\n")
    assert b"early" not in answer.body


def test_a_line_without_end(engine: Engine) -> None:
    assert engine.docker("logs", written(engine, "partial", "printf abc")).out == "abc"


def test_long_lines_come_whole(engine: Engine) -> None:
    out = engine.docker("logs", written(engine, "long", "head -c 200000 /dev/zero | tr '\\0' x; echo; echo end")).out
    assert out == "x" * 200_000 + "\nend\n"


def test_bytes_that_are_no_utf8(engine: Engine) -> None:
    """json-file cannot keep them (it puts U+FFFD); to keep them is better."""
    written(engine, "bytes", "printf '\\377\\n'")
    assert engine.docker_bytes("logs", "bytes").stdout in (b"\xff\n", "\ufffd\n".encode())


def test_follow_ends_with_the_container(engine: Engine) -> None:
    engine.start("--name", "talks", IMAGE, "sh", "-c", "for i in 1 2 3 4 5; do echo $i; usleep 100000; done; exit 3")
    result = engine.docker("logs", "-f", "talks")
    assert (result.code, result.out) == (0, "1\n2\n3\n4\n5\n")


def test_follow_comes_at_once(engine: Engine) -> None:
    engine.start("-i", "--name", "echo", IMAGE, "cat")
    command = [engine.cli, "logs", "-f", "echo"]
    with running(command, stdout=subprocess.PIPE, env=engine.environment()) as follower:
        assert follower.stdout is not None
        for number in range(3):
            with running([engine.cli, "attach", "echo"], stdin=subprocess.PIPE, env=engine.environment()) as attached:
                assert attached.stdin is not None
                attached.stdin.write(f"{number}\n".encode())
                attached.stdin.flush()
                assert follower.stdout.readline() == f"{number}\n".encode()
        engine.ok("kill", "echo")
        assert follower.wait(60) == 0


def test_follow_answers_its_head_before_the_first_line(engine: Engine) -> None:
    identity = engine.start(IMAGE, "sleep", "100")
    with engine.raw(timeout=10) as connection:
        connection.sendall(
            f"GET /v1.41/containers/{identity}/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")


def test_follow_of_what_is_started_later(engine: Engine) -> None:
    engine.ok("create", "--name", "later", IMAGE, "echo", "now")
    engine.ok("start", "-a", "later")
    engine.ok("start", "-a", "later")
    assert engine.docker("logs", "later").out == "now\nnow\n"


MEGABYTES = 50


@pytest.mark.timeout(300)
def test_follow_of_50_mb_loses_no_byte(engine: Engine) -> None:
    script = f"yes 0123456789abcdefghijklmnopqrstuvwxyz | head -c {MEGABYTES}000000"
    engine.start("--name", "flood", IMAGE, "sh", "-c", script)
    out = engine.docker_bytes("logs", "-f", "flood", timeout=200).stdout
    line = b"0123456789abcdefghijklmnopqrstuvwxyz\n"
    expected = (line * (MEGABYTES * 1_000_000 // len(line) + 1))[: MEGABYTES * 1_000_000]
    assert len(out) == len(expected)
    assert hashlib.sha256(out).digest() == hashlib.sha256(expected).digest()
    again = engine.docker_bytes("logs", "--tail", "10", "flood", timeout=200).stdout
    assert again == b"\n".join(expected.split(b"\n")[-10:])


def test_logs_go_on_over_restarts(engine: Engine) -> None:
    engine.start("--name", "twice", IMAGE, "sh", "-c", "echo run; exec sleep 100")
    engine.ok("restart", "-t", "0", "twice")
    deadline = time.monotonic() + 60
    while engine.docker("logs", "twice").out != "run\nrun\n":
        assert time.monotonic() < deadline


def test_log_driver_none(engine: Engine) -> None:
    engine.docker("run", "--name", "mute", "--log-driver", "none", IMAGE, "echo", "x")
    result = engine.docker("logs", "mute")
    assert result.code == 1
    assert "configured logging driver does not support reading" in result.err


def test_log_size_is_bounded_on_request(engine: Engine) -> None:
    arguments = ["--log-opt", "max-size=10k", "--log-opt", "max-file=2"]
    engine.docker("run", "--name", "bounded", *arguments, IMAGE, "seq", "20000")
    lines = engine.docker("logs", "bounded").out.splitlines()
    assert lines[-1] == "20000"
    assert len(lines) < 10_000
    assert [int(line) for line in lines] == list(range(int(lines[0]), 20001))


@pytest.mark.parametrize(
    "options", [("max-size=1m", "max-file=3"), ("max-size=1m", "max-file=3", "compress=true"), ("max-size=1m",)]
)
def test_as_much_as_docker_keeps_is_there(engine: Engine, options: tuple[str, ...]) -> None:
    """All files but the present one are full, and a line of json-file has 79 bytes and more."""
    arguments = [word for option in options for word in ("--log-opt", option)]
    engine.docker("run", "--name", "rotated", *arguments, IMAGE, "seq", "200000")
    lines = [int(line) for line in engine.docker("logs", "rotated").out.splitlines()]
    assert lines == list(range(lines[0], 200_001))
    assert len(lines) >= (2_000_000 // 85 if "max-file=3" in options else 0)
    assert engine.docker("logs", "--tail", "20000", "rotated").out.splitlines()[-1] == "200000"
    if "max-file=3" in options:
        assert len(engine.docker("logs", "--tail", "20000", "rotated").out.splitlines()) == 20_000


def test_details(engine: Engine) -> None:
    options = ["--log-opt", "labels=a,none", "--log-opt", "env=E", "--log-opt", "tag={{.Name}}/{{.ImageName}}"]
    engine.docker("run", "--name", "told", "-l", "a=1 2", "-e", "E=x=y", *options, IMAGE, "echo", "text")
    assert engine.docker("logs", "--details", "told").out == "E=x%3Dy,a=1+2,tag=told%2Fbusybox text\n"
    stamped = engine.docker("logs", "--details", "-t", "told").out
    assert re.fullmatch(f"{STAMP} E=x%3Dy,a=1\\+2,tag=told%2Fbusybox text\n", stamped)
    engine.docker("run", "--name", "plain", IMAGE, "echo", "text")
    assert engine.docker("logs", "--details", "plain").out == " text\n"


def test_log_driver_local(engine: Engine) -> None:
    engine.docker("run", "--name", "local", "--log-driver", "local", IMAGE, "sh", "-c", "echo out; echo err >&2")
    result = engine.docker("logs", "local")
    assert (result.out, result.err) == ("out\n", "err\n")
    assert engine.inspect("local")["HostConfig"]["LogConfig"]["Type"] == "local"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param(
            ("--log-driver", "nope"),
            'error looking up logging plugin nope: plugin "nope" not found',
            marks=pytest.mark.beyond_reference("20.10 says that there is no such plugin"),
        ),
        (("--log-opt", "nope=1"), "unknown log opt 'nope' for json-file log driver"),
        (("--log-driver", "syslog", "--log-opt", "syslog-format=x"), "Invalid syslog format"),
        pytest.param(
            ("--log-driver", "syslog", "--log-opt", "syslog-address=ftp://x"),
            "unsupported scheme: 'ftp'",
            marks=pytest.mark.beyond_reference("20.10 words it otherwise"),
        ),
    ],
)
def test_refused_options(engine: Engine, arguments: tuple[str, ...], text: str) -> None:
    result = engine.docker("create", *arguments, IMAGE)
    assert result.code == 1
    assert text in result.err


@pytest.fixture
def syslog() -> Iterator[tuple[str, socket.socket]]:
    """A log server on a unix socket: its address, and where the messages come."""
    with (
        tempfile.TemporaryDirectory(prefix="syslog") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own,
    ):
        own.bind(f"{folder}/log")
        own.settimeout(60)
        yield f"syslog-address=unixgram://{folder}/log", own


def test_syslog_gets_every_line_and_logs_shows_them_too(engine: Engine, syslog: tuple[str, socket.socket]) -> None:
    address, server = syslog
    options = ["--log-driver", "syslog", "--log-opt", address, "--log-opt", "syslog-format=rfc5424"]
    template = "tag={{index .ContainerLabels `to.of`}}{{with (.ExtraAttributes nil).A}}{{.}}{{end}}"
    tag = ["--log-opt", template, "--log-opt", "syslog-facility=local3", "--log-opt", "env=A", "-e", "A=nt"]
    tag += ["--label", "to.of=se"]
    engine.docker("run", "--name", "sent", *options, *tag, IMAGE, "sh", "-c", "echo out; usleep 50000; echo err >&2")
    messages = [server.recv(9999).decode() for _ in range(2)]
    for message, priority, text in zip(messages, (158, 155), ("out", "err"), strict=True):
        assert re.fullmatch(rf"<{priority}>1 \d{{4}}-\S+ \S+ sent \d+ sent - {text}\n", message), message
    result = engine.docker("logs", "sent")
    assert (result.out, result.err) == ("out\n", "err\n")


def test_syslog_without_a_cache_cannot_be_read(engine: Engine, syslog: tuple[str, socket.socket]) -> None:
    options = ["--log-driver", "syslog", "--log-opt", syslog[0], "--log-opt", "cache-disabled=true"]
    engine.docker("run", "--name", "sent", *options, IMAGE, "echo", "x")
    assert "configured logging driver does not support reading" in engine.docker("logs", "sent").err


def test_syslog_that_is_not_there(engine: Engine) -> None:
    options = ["--log-driver", "syslog", "--log-opt", "syslog-address=tcp://127.0.0.1:1"]
    result = engine.docker("run", "--rm", *options, IMAGE, "true")
    assert result.code == 125
    assert "failed to initialize logging driver: dial tcp 127.0.0.1:1: connect: connection refused" in result.err


def test_info_lists_the_drivers(engine: Engine) -> None:
    listed = engine.call("GET", "/info").json["Plugins"]["Log"]
    assert {"json-file", "local", "syslog"} <= set(listed)
    assert "none" not in listed
