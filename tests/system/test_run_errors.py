"""What goes wrong in `docker run`: texts and exit codes 125, 126, 127."""

# ruff: noqa: E501 - a case is a line

import re

import pytest

from tests.support.engine import IMAGE, Engine, unique

CASES = [
    # arguments, exit code, what standard error has to contain
    ((IMAGE, "nosuch"), 127, r'exec: "nosuch": executable file not found in \$PATH'),
    ((IMAGE, "/no/such"), 127, r'exec: "/no/such": stat /no/such: no such file or directory'),
    ((IMAGE, "/etc/not-executable"), 126, r'exec: "/etc/not-executable": permission denied'),
    ((IMAGE, "/etc"), 126, r'exec: "/etc": (permission denied|is a directory)'),
    (("--entrypoint", "nosuch", IMAGE), 127, r'exec: "nosuch": executable file not found in \$PATH'),
    (("-u", "bob", IMAGE, "true"), 125, "unable to find user bob: no matching entries in passwd file"),
    (("-u", "alice:bobs", IMAGE, "true"), 125, "unable to find group bobs: no matching entries in group file"),
    (("-w", "relative", IMAGE, "true"), 125, "the working directory 'relative' is invalid, it needs to be an absolute path"),
    (("-w", "/etc/passwd", IMAGE, "true"), 125, "Cannot mkdir: /etc/passwd is not a directory"),
    (("--network", "nonet", IMAGE, "true"), 125, "network nonet not found"),
    (("--network", "container:nope", IMAGE, "true"), 125, "No such container: nope"),
    (("--pid", "container:nope", IMAGE, "true"), 125, "No such container: nope"),
    (("--ipc", "container:nope", IMAGE, "true"), 125, "No such container: nope"),
    (("--ipc", "container:", IMAGE, "true"), 125, 'invalid name or ID supplied: ""'),
    (("--volumes-from", ":ro", IMAGE, "true"), 125, 'invalid name or ID supplied: ""'),
    (("--cpuset-mems", "63", IMAGE, "true"), 125, "Requested memory nodes are not available - requested 63, available: 0"),
    (("--log-opt", "max-size=x", IMAGE, "true"), 125, "failed to initialize logging driver: invalid size: 'x'"),
    (("--memory", "1m", IMAGE, "true"), 125, "Minimum memory limit allowed is 6MB"),
    (("--memory-swap", "64m", IMAGE, "true"), 125, "You should always set the Memory limit when using Memoryswap limit, see usage"),
    (("-m", "64m", "--memory-swap", "32m", IMAGE, "true"), 125, "Minimum memoryswap limit should be larger than memory limit, see usage"),
    (("--cpus", "999", IMAGE, "true"), 125, r"[Rr]ange of CPUs is from 0\.01 to \d+\.00, as there are only \d+ CPUs available"),
    (("--cpuset-cpus", "99", IMAGE, "true"), 125, r"Requested CPUs are not available - requested 99, available: 0"),
    (("-v", "/nope/nope:/x:zz", IMAGE, "true"), 125, "invalid mode: zz"),
    (("-v", "/tmp:relative", IMAGE, "true"), 125, "invalid mount path: 'relative' mount path must be absolute"),
    (("-v", "/tmp:/", IMAGE, "true"), 125, "invalid specification: destination can't be '/'"),
    (("-v", "/tmp:/x", "-v", "/etc:/x", IMAGE, "true"), 125, "Duplicate mount point: /x"),
    (("-v", "a/b:/x", IMAGE, "true"), 125, "includes invalid characters for a local volume name"),
    (("--mount", "type=bind,src=/nope/nope,dst=/x", IMAGE, "true"), 125, "bind source path does not exist: /nope/nope"),
    (("--tmpfs", "/x:foo=bar", IMAGE, "true"), 125, r'invalid tmpfs option \["foo" "bar"\]'),
    (("--runtime", "nort", IMAGE, "true"), 125, "[Uu]nknown.*runtime.* nort"),
    (("--cap-add", "FOO", IMAGE, "true"), 125, 'invalid CapAdd: unknown capability: "CAP_FOO"'),
    (("--cap-drop", "FOO", IMAGE, "true"), 125, 'invalid CapDrop: unknown capability: "CAP_FOO"'),
    (("--security-opt", "foo=bar", IMAGE, "true"), 125, 'invalid --security-opt 2: "foo=bar"'),
    (("--sysctl", "net.ipv4.nope=1", IMAGE, "true"), 127, "/proc/sys/net/ipv4/nope: no such file or directory"),
    (("--device", "/dev/nope", IMAGE, "true"), 127, 'error gathering device information while adding custom device "/dev/nope": no such file or directory'),
    (("--stop-signal", "FOO", IMAGE, "true"), 125, "[Ii]nvalid signal: FOO"),
    (("--log-opt", "foo=x", IMAGE, "true"), 125, "unknown log opt 'foo' for json-file log driver"),
    (("--name", "-x", IMAGE, "true"), 125, r"Invalid container name \(-x\), only \[a-zA-Z0-9\]\[a-zA-Z0-9_\.-\] are allowed"),
    (("--oom-score-adj", "5000", IMAGE, "true"), 125, r"Invalid value 5000, range for oom score adj is \[-1000, 1000\]"),
    (("--network", "container:self", "-p", "80", IMAGE, "true"), 125, "conflicting options: port publishing and the container type network mode"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "text"), CASES, ids=[" ".join(case[0]) for case in CASES])
def test_error(engine: Engine, arguments: tuple[str, ...], code: int, text: str) -> None:
    result = engine.docker("run", "--rm", *arguments)
    assert re.search(text, result.err), result.err
    assert result.code == code, result
    assert result.err.startswith("docker: ")
    assert result.out == ""
    assert engine.ok("ps", "-aq") == "", "nothing is left of a failed run with --rm"


def test_a_failed_start_leaves_the_container_as_created(engine: Engine) -> None:
    engine.docker("run", "--name", "failed", IMAGE, "nosuch")
    state = engine.inspect("failed")["State"]
    assert (state["Status"], state["ExitCode"], state["Running"]) == ("created", 127, False)
    assert 'exec: "nosuch": executable file not found in $PATH' in state["Error"]


def test_start_of_what_is_not_executable_by_the_user(engine: Engine) -> None:
    engine.run("-v", "tools:/tools", IMAGE, "sh", "-c", "cp /bin/busybox /tools/secret; chmod 700 /tools/secret")
    result = engine.docker("run", "--rm", "-u", "alice", "-v", "tools:/tools", IMAGE, "/tools/secret")
    assert result.code != 0  # 126 by runc, which looks as the user; crun finds out when the process has begun: 1
    assert re.search("/tools/secret.*permission denied", result.err, re.IGNORECASE)


def test_name_conflict(engine: Engine) -> None:
    holder = engine.start("--name", "taken", IMAGE, "sleep", "100")
    result = engine.docker("run", "--rm", "--name", "taken", IMAGE, "true")
    assert result.code == 125
    assert (
        f'Conflict. The container name "/taken" is already in use by container "{holder}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    ) in result.err


def test_unknown_image_names_it(engine: Engine) -> None:
    name = unique("absent")
    answer = engine.call("POST", "/containers/create", {"Image": f"{name}:1.2"})
    assert (answer.status, answer.message) == (404, f"No such image: {name}:1.2")
    assert f"Unable to find image '{name}:latest' locally" in engine.docker("run", "--rm", name, "true").err


def test_wrong_platform(engine: Engine) -> None:
    answer = engine.call("POST", "/containers/create?platform=linux/arm64", {"Image": IMAGE})
    assert answer.status == 404
    assert re.search("was found but .*does not match the specified platform.*linux/arm64", answer.message)


def test_port_taken_by_another_container(engine: Engine) -> None:
    engine.start("-p", "18099:80", IMAGE, "sleep", "100")
    result = engine.docker("run", "--rm", "-p", "18099:80", IMAGE, "true")
    assert result.code == 125
    assert "Bind for 0.0.0.0:18099 failed: port is already allocated" in result.err


def test_a_range_of_ports_that_is_used_up(engine: Engine) -> None:
    for _ in range(2):
        engine.start("-p", "18096-18097:80", IMAGE, "sleep", "100")
    result = engine.docker("run", "--rm", "-p", "18096-18097:80", IMAGE, "true")
    assert result.code == 125
    assert result.err.splitlines()[0].rstrip(".").endswith(": all ports are allocated")  # later clients end it


@pytest.mark.parametrize("kind", ["pid", "ipc", "network"])
def test_joining_what_does_not_run(engine: Engine, kind: str) -> None:
    engine.ok("create", "--name", "still", IMAGE)
    result = engine.docker("run", "--rm", f"--{kind}", "container:still", IMAGE, "true")
    assert result.code == 125
    assert re.search("not running|non running", result.err), result.err


def test_address_that_is_not_the_hosts(engine: Engine) -> None:
    result = engine.docker("run", "--rm", "-p", "203.0.113.1:18099:80", IMAGE, "true")
    assert result.code == 125
    assert "cannot assign requested address" in result.err


def test_a_failed_run_gives_its_port_back(engine: Engine) -> None:
    assert engine.docker("run", "--rm", "-p", "18098:80", IMAGE, "nosuch").code == 127
    assert engine.run("-p", "18098:80", IMAGE, "echo", "free") == "free"


@pytest.mark.parametrize("arguments", [(IMAGE, "nosuch"), ("--cpu-rt-runtime", "1", IMAGE, "true")])
def test_with_a_terminal_the_reason_is_told_too(engine: Engine, arguments: tuple[str, ...]) -> None:
    plain, on_terminal = (engine.docker("run", "--rm", *more, *arguments) for more in ((), ("-t",)))
    assert "Error response from daemon" in on_terminal.err
    assert (on_terminal.code, on_terminal.err) == (plain.code, plain.err)
