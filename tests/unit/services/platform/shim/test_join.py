"""What a process becomes, in a copy of this process's own surroundings; `test_execs.py` has real containers."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from services.platform.shim import calls, join

SPEC: dict[str, Any] = {
    "terminal": False,
    "user": {"uid": 0, "gid": 0, "additionalGids": [0]},
    "args": ["sh", "-c", "true"],
    "env": ["PATH=/usr/bin:/bin", "A=b=c", "EMPTY="],
    "cwd": "/",
    "noNewPrivileges": False,
    "rlimits": [],
    "oomScoreAdj": 0,
}
HELD = int(re.search(r"CapEff:\s+(\w+)", Path("/proc/self/status").read_text())[1], 16)  # type: ignore[index]
REQUEST: dict[str, Any] = {"groups": [], "home": "/root", "capabilities": [HELD, HELD, HELD, 0]}


def run(program: bytes = b"", **changes: Any) -> tuple[int, str, str]:
    """Exit code, output and what was answered."""
    own = os.pidfd_open(os.getpid())
    plan = join.Plan(own, REQUEST, SPEC | changes, program)
    answers, told = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader, writer = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    pid, pidfd = calls.clone()
    if pid == 0:
        join.become(plan, (null, writer, writer), told.fileno())
    told.close()
    os.close(writer)
    answer = answers.recv(4096).decode()
    with open(reader, "rb") as file:
        output = file.read().decode()
    for descriptor in (own, null, pidfd):
        os.close(descriptor)
    answers.close()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output, answer


def test_the_plan_is_the_runtime_specs_process() -> None:
    rlimits = [{"type": "RLIMIT_NOFILE", "soft": 5, "hard": (1 << 64) - 1}]
    plan = join.Plan(
        7, REQUEST, SPEC | {"rlimits": rlimits, "terminal": True, "consoleSize": {"height": 3, "width": 4}}, b""
    )
    assert list(plan.env.items()) == [("PATH", "/usr/bin:/bin"), ("A", "b=c"), ("EMPTY", ""), ("HOME", "/root")]
    assert plan.rlimits == [(7, 5, -1)]
    assert plan.tty == (3, 4)
    assert join.Plan(7, REQUEST, SPEC, b"").tty is None


def test_a_program_runs_with_its_environment() -> None:
    assert run(args=["env"]) == (0, "PATH=/usr/bin:/bin\nA=b=c\nEMPTY=\nHOME=/root\n", "")
    assert run(args=["/bin/sh", "-c", "exit 9"]) == (9, "", "")


def test_signals_that_python_ignores_are_what_they_were() -> None:
    _, output, _ = run(args=["sh", "-c", "grep SigIgn /proc/self/status"])
    assert int(output.split()[1], 16) == 0


def test_nothing_of_the_shim_is_left_open() -> None:
    _, output, _ = run(args=["sh", "-c", "ls /proc/self/fd"])
    assert output.split() == ["0", "1", "2", "3"]  # ls itself holds 3


def test_it_leads_a_session_of_its_own() -> None:
    _, output, _ = run(args=["sh", "-c", "cut -d' ' -f5,6 /proc/self/stat; echo $$"])
    group, session, shell = output.split()
    assert group == session == shell


def test_user_groups_and_limits() -> None:
    changes: dict[str, Any] = {
        "user": {"uid": 1000, "gid": 50, "additionalGids": [50, 60]},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 40, "hard": 41}],
        "oomScoreAdj": 77,
    }
    script = "id -u; id -g; id -G; ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj; umask"
    _, output, _ = run(args=["sh", "-c", script], **changes)
    assert output.split("\n")[:-1] == ["1000", "50", "50 60", "40", "41", "77", "0022"]


@pytest.mark.parametrize(
    ("args", "answer"),
    [
        (["no-such-program"], f"search\0{2}\0no-such-program"),
        ([""], f"search\0{2}\0"),
        (["/no/such"], "stat\0" + "2\0/no/such"),
        (["/etc"], "exec\0" + "13\0/etc"),
        (["/etc/passwd"], "exec\0" + "13\0/etc/passwd"),
    ],
)
def test_no_such_program(args: list[str], answer: str) -> None:
    assert run(args=args) == (1, "", answer)


def test_what_cannot_be_executed_says_so_itself(tmp_path: Path) -> None:
    for name, text, why in (("a", "#!/no/such\n", "no such file or directory"), ("b", "x", "exec format error")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
        assert run(args=[str(tmp_path / name)]) == (1, f"exec {tmp_path / name}: {why}\n", "")


def test_the_path_is_searched_for_what_may_be_executed(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "it").write_text(f"#!/bin/sh\necho {folder}\n")
    (tmp_path / "b/it").chmod(0o755)
    path = f"PATH={tmp_path}/none:{tmp_path}/a:{tmp_path}/b"
    assert run(args=["it"], env=[path]) == (0, "b\n", "")


def test_the_working_folder(tmp_path: Path) -> None:
    assert run(args=["pwd"], cwd="/usr/bin")[1] == "/usr/bin\n"
    assert run(cwd="/no/such")[2] == "chdir\0" + "2\0/no/such"
    assert run(cwd="/etc/passwd")[2] == "chdir\0" + "20\0/etc/passwd"


def test_a_folder_that_only_its_owner_may_enter(tmp_path: Path) -> None:
    folder = Path("/tmp") / f"shoal-only-{os.getpid()}"
    folder.mkdir(mode=0o700)
    os.chown(folder, 1000, 1000)
    try:
        user = {"uid": 1000, "gid": 1000}
        assert run(args=["pwd"], cwd=str(folder), user=user)[1] == f"{folder}\n"
    finally:
        folder.rmdir()


def test_what_is_no_text_for_the_kernel_is_an_answer_not_a_hang() -> None:
    code, output, answer = run(args=["echo", "a\0b"])
    assert (code, output) == (1, "")
    assert answer.startswith("join\0" + "0\0ValueError")


def test_a_terminal() -> None:
    own = os.pidfd_open(os.getpid())
    plan = join.Plan(
        own,
        REQUEST,
        SPEC
        | {
            "terminal": True,
            "args": ["sh", "-c", "tty; stty size; exit 3"],
            "consoleSize": {"height": 20, "width": 30},
        },
        b"",
    )
    answers, told = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid, pidfd = calls.clone()
    if pid == 0:
        join.become(plan, (-1, -1, -1), told.fileno())
    told.close()
    data, (master,), _, _ = socket.recv_fds(answers, 100, 1)
    assert data == b"tty"
    assert answers.recv(100) == b""
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    output = ""
    with contextlib.suppress(OSError):  # the other side is closed
        while data := os.read(master, 1000):
            output += data.decode()
    assert output.startswith("/dev/pts/")
    assert output.endswith("20 30\r\n")
    for descriptor in (own, pidfd, master):
        os.close(descriptor)
    answers.close()


def test_a_filter_is_installed() -> None:
    allow = (0x06).to_bytes(2, "little") + bytes(2) + (0x7FFF0000).to_bytes(4, "little")
    for privileges in (False, True):
        _, output, _ = run(
            allow, args=["sh", "-c", "grep -E 'NoNew|Seccomp:' /proc/self/status"], noNewPrivileges=privileges
        )
        assert output.split() == ["NoNewPrivs:", str(int(privileges)), "Seccomp:", "2"]
