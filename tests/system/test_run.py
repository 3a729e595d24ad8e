"""`docker run` in its usual forms: what comes out, where it goes, how it ends."""

import json
from pathlib import Path

import pytest

from tests.support.engine import IMAGE, Engine, unique


def test_foreground_passes_output_and_exit_code(engine: Engine) -> None:
    result = engine.docker("run", IMAGE, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (result.code, result.out, result.err) == (7, "out\n", "err\n")


def test_default_command_of_the_image(engine: Engine) -> None:
    assert engine.docker("run", "--rm", "-i", IMAGE, input=b"echo from-sh\n").out == "from-sh\n"


def test_rm_removes(engine: Engine) -> None:
    engine.run("--name", "gone", IMAGE, "true")
    assert engine.ok("ps", "-aq") == ""


def test_without_rm_stays(engine: Engine) -> None:
    engine.ok("run", "--name", "stays", IMAGE, "true")
    assert engine.ok("ps", "-a", "--format", "{{.Names}} {{.Image}} {{.Command}}") == 'stays busybox "true"'


def test_rm_removes_anonymous_but_not_named_volumes(engine: Engine) -> None:
    engine.run("-v", "/anonymous", "-v", "named:/named", IMAGE, "true")
    assert engine.ok("volume", "ls", "-q") == "named"


def test_detached_prints_the_id(engine: Engine) -> None:
    identity = engine.start(IMAGE, "sleep", "100")
    assert len(identity) == 64
    assert set(identity) <= set("0123456789abcdef")
    assert engine.inspect(identity)["State"]["Status"] == "running"


def test_detached_with_rm_is_gone_after_its_end(engine: Engine) -> None:
    identity = engine.start("--rm", IMAGE, "sleep", "100")
    removed = engine.call("POST", f"/containers/{identity}/kill")
    assert removed.status == 204
    waited = engine.docker("wait", identity)
    assert waited.code in (0, 1)  # 1 where it was gone already
    assert engine.docker("wait", identity).code == 1


def test_name(engine: Engine) -> None:
    engine.start("--name", "some.name_1-x", IMAGE, "sleep", "100")
    assert engine.inspect("some.name_1-x")["Name"] == "/some.name_1-x"


def test_a_generated_name_is_two_words(engine: Engine) -> None:
    identity = engine.start(IMAGE, "sleep", "100")
    left, _, right = engine.inspect(identity)["Name"].removeprefix("/").partition("_")
    assert left.isalpha()
    assert right


def test_short_id_and_prefix_name_the_container(engine: Engine) -> None:
    identity = engine.start(IMAGE, "sleep", "100")
    for name in (identity[:12], identity[:20], identity):
        assert engine.ok("inspect", "--format", "{{.Id}}", name) == identity


def test_environment(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# comment\nFROM_FILE=one two\nOVERRIDDEN=file\nEMPTY=\n")
    out = engine.run("--env-file", str(file), "-e", "A=b=c", "-e", "OVERRIDDEN=flag", "--hostname", "h", IMAGE, "env")
    assert out.splitlines() == [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOSTNAME=h",
        "FROM_FILE=one two",
        "OVERRIDDEN=flag",
        "EMPTY=",
        "A=b=c",
        "HOME=/root",
    ]


def test_environment_taken_from_the_client(engine: Engine) -> None:
    result = engine.docker("run", "--rm", "-e", "TAKEN", "-e", "ABSENT", IMAGE, "env", env={"TAKEN": "here"})
    assert "TAKEN=here" in result.out.splitlines()
    assert "ABSENT" not in result.out


def test_terminal_sets_term(engine: Engine) -> None:
    assert "TERM=xterm\r\n" in engine.docker("run", "--rm", "-t", IMAGE, "env").out


def test_workdir_is_made(engine: Engine) -> None:
    assert engine.run("-w", "/new/folder", IMAGE, "pwd") == "/new/folder"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("alice", "uid=1000(alice) gid=1000(alice) groups=50(staff),1000(alice)"),
        ("1000", "uid=1000(alice) gid=1000(alice) groups=50(staff),1000(alice)"),
        ("alice:staff", "uid=1000(alice) gid=50(staff) groups=50(staff)"),
        ("alice:0", "uid=1000(alice) gid=0(root) groups=0(root)"),
        ("1234", "uid=1234 gid=0(root) groups=0(root)"),
        ("1234:56", "uid=1234 gid=56 groups=56"),
        ("0", "uid=0(root) gid=0(root) groups=0(root)"),
        (":50", "uid=0(root) gid=50(staff) groups=50(staff)"),
    ],
)
def test_user(engine: Engine, user: str, expected: str) -> None:
    assert engine.run("-u", user, IMAGE, "id") == expected


def test_home_follows_the_user(engine: Engine) -> None:
    assert engine.run("-u", "alice", IMAGE, "sh", "-c", "echo $HOME") == "/home/alice"
    assert engine.run("-u", "4321", IMAGE, "sh", "-c", "echo $HOME") == "/"


def test_group_add(engine: Engine) -> None:
    out = engine.run("-u", "alice", "--group-add", "daemon", "--group-add", "777", IMAGE, "id", "-G")
    assert sorted(out.split(), key=int) == ["1", "50", "777", "1000"]


def test_entrypoint(engine: Engine) -> None:
    assert engine.run("--entrypoint", "/bin/echo", IMAGE, "a", "b c") == "a b c"
    assert engine.docker("run", "--rm", "--entrypoint", "", IMAGE, "echo", "x").out == "x\n"


def test_labels(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "labels"
    file.write_text("from.file=1\n")
    identity = engine.start("-l", "a=b", "--label", "bare", "--label-file", str(file), IMAGE, "sleep", "100")
    assert engine.inspect(identity)["Config"]["Labels"] == {"a": "b", "bare": "", "from.file": "1"}
    assert engine.ok("ps", "-q", "--no-trunc", "--filter", "label=a=b", "--filter", "label=bare") == identity
    assert engine.ok("ps", "-q", "--filter", "label=a=c") == ""


def test_hostname_and_domainname(engine: Engine) -> None:
    assert engine.run("--hostname", "box", IMAGE, "hostname") == "box"
    assert engine.run("--hostname", "box", IMAGE, "cat", "/etc/hostname") == "box"
    identity = engine.start(IMAGE, "sleep", "100")
    assert engine.ok("exec", identity, "hostname") == identity[:12]


def test_read_only(engine: Engine) -> None:
    result = engine.docker("run", "--rm", "--read-only", IMAGE, "touch", "/file")
    assert (result.code, result.err) == (1, "touch: /file: Read-only file system\n")
    assert (
        engine.run(
            "--read-only", "--tmpfs", "/t", "-v", "vol:/v", IMAGE, "sh", "-c", "echo x >/t/f; cp /t/f /v/; cat /v/f"
        )
        == "x"
    )


def test_init_is_the_first_process(engine: Engine) -> None:
    lines = engine.run("--init", IMAGE, "ps").splitlines()
    assert lines[1].split()[0] == "1"
    assert lines[1].rstrip().endswith("-- ps")


def test_init_reaps_orphans(engine: Engine) -> None:
    identity = engine.start("--init", IMAGE, "sh", "-c", "(sleep 0.1 &) ; exec sleep 100")
    engine.ok("exec", identity, "sh", "-c", "while [ $(pidof sleep | wc -w) -gt 1 ]; do usleep 10000; done")
    assert "Z" not in {line.split()[1] for line in engine.ok("exec", identity, "ps", "-o", "pid,stat").splitlines()[1:]}


def test_init_passes_signals_on(engine: Engine) -> None:
    identity = engine.start(
        "--init", IMAGE, "sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do usleep 10000; done"
    )
    assert engine.ok("logs", identity) in ("", "ready")
    engine.ok("stop", "-t", "5", identity)
    assert engine.inspect(identity)["State"]["ExitCode"] in (5, 143)


def test_platform_of_the_host(engine: Engine) -> None:
    assert engine.run("--platform", "linux/amd64", IMAGE, "echo", "x") == "x"


def test_runtime_by_name(engine: Engine) -> None:
    default = engine.ok("info", "--format", "{{.DefaultRuntime}}")
    assert engine.run("--runtime", default, IMAGE, "echo", "x") == "x"
    assert engine.inspect(engine.start(IMAGE, "sleep", "9"))["HostConfig"]["Runtime"] == default


def test_cidfile(engine: Engine, tmp_path: Path) -> None:
    identity = engine.start("--cidfile", str(tmp_path / "cid"), IMAGE, "sleep", "100")
    assert (tmp_path / "cid").read_text() == identity


def test_exit_by_signal_is_128_plus(engine: Engine) -> None:
    engine.start("--name", "victim", IMAGE, "sleep", "100")
    engine.ok("kill", "--signal", "KILL", "victim")
    assert engine.ok("wait", "victim") == "137"
    result = engine.docker("run", "--rm", IMAGE, "sh", "-c", "sleep 100 & kill -TERM $!; wait $!")
    assert result.code == 143


def test_create_then_start_attached(engine: Engine) -> None:
    engine.ok("create", "--name", "later", IMAGE, "sh", "-c", "echo hi; exit 3")
    assert engine.inspect("later")["State"]["Status"] == "created"
    result = engine.docker("start", "-a", "later")
    assert (result.code, result.out) == (3, "hi\n")
    assert engine.docker("start", "-a", "later").code == 3, "a container can be started again"


def test_the_client_is_told_by_pull_policy(engine: Engine) -> None:
    result = engine.docker("run", "--rm", "--pull", "never", "absent:1", "true")
    assert result.code == 125
    assert "No such image: absent:1" in result.err


def test_arguments_arrive_as_given(engine: Engine) -> None:
    odd = ["", " ", "a b", "'", '"', "$x", "\\", "ünï", "*", "\n", "-x"]
    out = engine.docker("run", "--rm", IMAGE, "sh", "-c", 'for a in "$@"; do echo "[$a]"; done', "sh", *odd).out
    assert out == "".join(f"[{each}]\n" for each in odd)


def test_many_at_once(engine: Engine) -> None:
    names = [unique("many") for _ in range(10)]
    identities = [engine.ok("create", "--name", name, IMAGE, "echo", name) for name in names]
    engine.ok("start", *identities)
    assert engine.ok("wait", *identities).split() == ["0"] * 10
    assert [engine.ok("logs", name) for name in names] == names


def test_security_relevant_defaults_in_inspect(engine: Engine) -> None:
    host = engine.inspect(engine.start(IMAGE, "sleep", "100"))["HostConfig"]
    assert (host["Privileged"], host["PublishAllPorts"], host["ReadonlyRootfs"]) == (False, False, False)
    assert (host["IpcMode"], host["PidMode"], host["ShmSize"]) == ("private", "", 67108864)


def test_inspect_shows_what_was_asked(engine: Engine) -> None:
    engine.ok(
        "create", "--name", "asked", "-it", "-e", "K=v", "-w", "/tmp", "-u", "alice", "--stop-signal", "SIGINT",
        "--stop-timeout", "3", "-m", "64m", "--cpus", "0.5", "--pids-limit", "50", "--cap-add", "NET_ADMIN",
        "--cap-drop", "MKNOD", "--dns", "9.9.9.9", "--restart", "on-failure:2", "--ulimit", "nofile=100:200",
        "--tmpfs", "/t:size=1m", "--sysctl", "net.ipv4.ip_unprivileged_port_start=0", IMAGE, "sleep", "1",
    )  # fmt: skip
    found = engine.inspect("asked")
    config, host = found["Config"], found["HostConfig"]
    assert (found["Path"], found["Args"]) == ("sleep", ["1"])
    assert (config["Tty"], config["OpenStdin"], config["StdinOnce"]) == (True, True, True)
    assert (config["User"], config["WorkingDir"], config["StopSignal"], config["StopTimeout"]) == (
        "alice",
        "/tmp",
        "SIGINT",
        3,
    )
    assert "K=v" in config["Env"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (64 << 20, 500_000_000, 50)
    assert [name.removeprefix("CAP_") for name in host["CapAdd"] + host["CapDrop"]] == ["NET_ADMIN", "MKNOD"]
    assert (host["Dns"], host["Tmpfs"]) == (["9.9.9.9"], {"/t": "size=1m"})
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    assert host["Ulimits"][0] | {"Name": "nofile", "Soft": 100, "Hard": 200} == host["Ulimits"][0]
    assert json.dumps(host["Sysctls"]) == '{"net.ipv4.ip_unprivileged_port_start": "0"}'
