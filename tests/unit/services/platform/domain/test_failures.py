"""The runtime's texts in Docker's words. The left sides were read off crun 1.8 to 1.28."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.domain.failures import bad_limit, create_failure, exec_failure, exec_refused, translate

START = "unable to start container process: "
CREATE = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
)


@pytest.mark.parametrize(
    ("text", "program", "told"),
    [
        ("executable file `nosuch` not found in $PATH: No such file or directory", "nosuch",
         f'{START}exec: "nosuch": executable file not found in $PATH'),
        ("cannot find `` in $PATH: No such file or directory", "",
         f'{START}exec: "": executable file not found in $PATH'),
        ("executable file `/./x` not found: No such file or directory", "./x",
         f'{START}exec: "./x": stat ./x: no such file or directory'),
        ("the path `/etc/passwd` exists but it is not executable: Operation not permitted", "/etc/passwd",
         f'{START}exec: "/etc/passwd": permission denied'),
        ("the path `/etc` is not a regular file: Operation not permitted", "/etc",
         f'{START}exec: "/etc": permission denied'),
        ("open executable: Permission denied", "/x", f'{START}exec: "/x": permission denied'),
        ("chdir to `/nope`: No such file or directory", "true",
         f'{START}chdir to cwd ("/nope") set in config.json failed: no such file or directory'),
        ("the sysctl `kernel.foo` is not namespaced", "true",
         'sysctl "kernel.foo" is not in a separate kernel namespace'),
        ("the sysctl `net.x` requires a new network namespace", "true",
         'sysctl "net.x" is not in a separate kernel namespace'),
        ("open `/proc/sys/net/ipv4/nope`: No such file or directory", "true",
         f"{START}error during container init: open /proc/sys/net/ipv4/nope: no such file or directory"),
        ("cannot stat `/nope`: No such file or directory", "true",
         f'{START}error during container init: error mounting "/nope": stat /nope: no such file or directory'),
        ("mount `/tmp` to `etc/passwd`: Not a directory", "true",
         f'{START}error during container init: error mounting "/tmp" to rootfs at "/etc/passwd": not a directory'),
    ],
)  # fmt: skip
def test_known_failures(text: str, program: str, told: str) -> None:
    assert translate(text, program) == told
    message = create_failure(text, program)
    assert message.startswith(f"{CREATE}{told}: unknown")
    assert exec_failure(text, program) == f"OCI runtime exec failed: exec failed: {told}: unknown"


def test_a_working_folder_that_is_a_file_is_told_plainly() -> None:
    assert create_failure("chdir to `/etc/passwd`: Not a directory") == "Cannot mkdir: /etc/passwd is not a directory"


def test_a_limit_that_cannot_be() -> None:
    assert bad_limit(7) == (
        f"{CREATE}{START}error during container init: error setting rlimits for ready process: "
        "error setting rlimit type 7: invalid argument: unknown"
    )


@given(st.text(max_size=200))
def test_an_unknown_failure_is_one_line(text: str) -> None:
    assert "\n" not in translate(text)


@pytest.mark.parametrize(
    ("stage", "why", "what", "told"),
    [
        ("search", "No such file or directory", "x", 'exec: "x": executable file not found in $PATH'),
        ("stat", "No such file or directory", "/x", 'exec: "x": stat x: no such file or directory'),
        ("exec", "Permission denied", "/x", 'exec: "x": permission denied'),
        ("chdir", "Not a directory", "/d", 'chdir to cwd ("/d") set in config.json failed: not a directory'),
        ("join", "No such process", "", "no such process"),
        ("join", "No space left on device", "/sys/x", "/sys/x: no space left on device"),
    ],
)
def test_what_the_shim_could_not_make(stage: str, why: str, what: str, told: str) -> None:
    text = exec_refused(stage, why, what, "x")
    assert text == f"OCI runtime exec failed: exec failed: unable to start container process: {told}: unknown"
