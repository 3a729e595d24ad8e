"""`docker exec`: streams, terminal, user, folder, environment, errors."""

import pytest

from tests.support.engine import IMAGE, Engine
from tests.support.terminal import Terminal


@pytest.fixture
def box(engine: Engine) -> str:
    return engine.start("--name", "box", "-e", "K=from-container", "-w", "/tmp", IMAGE, "sleep", "1000")


def test_output_and_code(engine: Engine, box: str) -> None:
    result = engine.docker("exec", box, "sh", "-c", "echo out; echo err >&2; exit 9")
    assert (result.code, result.out, result.err) == (9, "out\n", "err\n")


def test_interactive_input_ends_by_half_close(engine: Engine, box: str) -> None:
    assert engine.docker("exec", "-i", box, "cat", input=b"hi\n").out == "hi\n"
    assert engine.docker("exec", box, "cat", input=b"hi\n").out == ""


def test_much_input(engine: Engine, box: str) -> None:
    data = b"0123456789abcdef" * 500_000
    assert engine.docker_bytes("exec", "-i", box, "cat", input=data).stdout == data


def test_terminal(engine: Engine, box: str) -> None:
    with Terminal([engine.cli, "exec", "-it", box, "sh"], engine.environment(), 31, 99) as shell:
        shell.expect(b"# ")
        shell.send(b"while [ \"$(stty size)\" != '31 99' ]; do usleep 20000; done; tty; echo $TERM\n")
        shell.expect(b"/dev/pts/")
        shell.expect(b"xterm")
        shell.resize(40, 120)
        shell.send(b"while [ \"$(stty size)\" != '40 120' ]; do usleep 20000; done; echo resized $((1+1))\n")
        shell.expect(b"resized 2")
        shell.send(b"exit 4\n")
        assert shell.end() == 4


def test_detach_keys(engine: Engine, box: str) -> None:
    with Terminal([engine.cli, "exec", "-it", box, "sh"], engine.environment()) as shell:
        shell.expect(b"# ")
        shell.send(b"\x10\x11")
        shell.end()
    assert "sh" in engine.ok("exec", box, "pidof", "sh") or engine.ok("exec", box, "pidof", "sh")


def test_detached(engine: Engine, box: str) -> None:
    assert engine.ok("exec", "-d", box, "sh", "-c", "echo done >/tmp/mark; exec sleep 500") == ""
    engine.ok("exec", box, "sh", "-c", "until [ -s /tmp/mark ]; do usleep 10000; done")
    assert engine.ok("exec", box, "pidof", "sleep").count(" ") == 1


def test_environment_folder_and_user(engine: Engine, box: str) -> None:
    out = engine.ok("exec", "-e", "A=b", "-e", "K=own", box, "env").splitlines()
    assert {"A=b", "K=own"} <= set(out)
    assert (out[0].partition("=")[0], out[-1]) == ("PATH", "HOME=/root")
    assert engine.ok("exec", box, "sh", "-c", "echo $K; pwd") == "from-container\n/tmp"
    assert engine.ok("exec", "-w", "/etc", box, "pwd") == "/etc"
    assert engine.ok("exec", "-u", "alice", box, "id") == "uid=1000(alice) gid=1000(alice) groups=50(staff),1000(alice)"
    assert engine.ok("exec", "-u", "1234:50", box, "id") == "uid=1234 gid=50(staff) groups=50(staff)"


def test_user_of_the_container_is_the_default(engine: Engine) -> None:
    engine.start("--name", "users", "-u", "alice", IMAGE, "sleep", "100")
    assert engine.ok("exec", "users", "id", "-u") == "1000"
    assert engine.ok("exec", "-u", "0", "users", "id", "-u") == "0"


def test_confined_as_the_container(engine: Engine, box: str) -> None:
    inside = engine.ok("exec", box, "grep", "-E", "^(Cap|Seccomp:|NoNew)", "/proc/self/status")
    assert inside == engine.ok("exec", box, "grep", "-E", "^(Cap|Seccomp:|NoNew)", "/proc/1/status")


@pytest.mark.parametrize(
    ("arguments", "codes", "text"),
    [
        (["box", "nosuch"], {126, 127}, 'exec: "nosuch": executable file not found in $PATH'),
        (["box", "/etc/not-executable"], {126}, 'exec: "/etc/not-executable": permission denied'),
        (["-u", "bob", "box", "true"], {126}, "unable to find user bob: no matching entries in passwd file"),
        (["-w", "/nope", "box", "true"], {126, 127}, 'chdir to cwd ("/nope") set in config.json failed: no such file'),
        (["-w", "relative", "box", "true"], {126}, "exec failed: Cwd must be an absolute path"),
        (["box", ""], {126, 127}, 'exec: "": executable file not found in $PATH'),
        (["--detach-keys", "foo", "box", "true"], {1}, "Invalid escape keys (foo) provided"),
        (["nope", "true"], {1}, "No such container: nope"),
    ],
)
def test_errors(engine: Engine, box: str, arguments: list[str], codes: set[int], text: str) -> None:
    result = engine.docker("exec", *arguments)
    assert result.code in codes, result
    assert text in (result.err if result.code == 1 else result.out), "what an exec dies of is told in its output"


def test_in_what_does_not_run(engine: Engine) -> None:
    identity = engine.ok("create", "--name", "still", IMAGE)
    result = engine.docker("exec", "still", "true")
    assert (result.code, result.err.lower()) == (
        1,
        f"error response from daemon: container {identity} is not running\n",
    )


def test_in_what_is_paused(engine: Engine, box: str) -> None:
    engine.ok("pause", box)
    result = engine.docker("exec", "box", "true")
    assert result.code == 1
    assert "Container box is paused, unpause the container before exec" in result.err


def test_inspect(engine: Engine, box: str) -> None:
    body = {"AttachStdout": True, "AttachStderr": True, "Cmd": ["sh", "-c", "exit 4"], "User": "alice"}
    identity = engine.call("POST", f"/containers/{box}/exec", body).json["Id"]
    found = engine.call("GET", f"/exec/{identity}/json").json
    assert (found["ID"], found["ContainerID"], found["Running"], found["ExitCode"]) == (identity, box, False, None)
    assert (
        found["ProcessConfig"] | {"entrypoint": "sh", "arguments": ["-c", "exit 4"], "user": "alice"}
        == found["ProcessConfig"]
    )
    assert engine.call("POST", f"/exec/{identity}/start", {"Detach": False, "Tty": False}).status == 200
    found = engine.call("GET", f"/exec/{identity}/json").json
    assert (found["Running"], found["ExitCode"]) == (False, 4)
    assert engine.call("GET", "/exec/abc/json").message == "No such exec instance: abc"


def test_exec_ids_show_what_runs(engine: Engine, box: str) -> None:
    assert engine.inspect(box)["ExecIDs"] is None
    engine.ok("exec", "-d", box, "sleep", "777")
    assert len(engine.inspect(box)["ExecIDs"]) == 1


def test_create_is_checked(engine: Engine, box: str) -> None:
    answer = engine.call("POST", f"/containers/{box}/exec", {})
    assert (answer.status, answer.message) == (400, "No exec command specified")
    assert engine.call("POST", "/exec/abc/start", {}).status == 404


def test_ends_with_its_container(engine: Engine, box: str) -> None:
    with Terminal([engine.cli, "exec", "-it", box, "sh"], engine.environment()) as shell:
        shell.expect(b"# ")
        engine.ok("kill", box)
        assert shell.end() == 137
