"""Choosing a runtime, and what is done by its files instead of its command line."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import msgspec
import pytest

from services.platform.adapters.runtime import Runtime, Runtimes, program
from shared.config import Settings
from shared.errors import Conflict, Internal, InvalidArgument


def settings(directory: Path, **fields: object) -> Settings:
    base = Settings(run_dir=str(directory / "run"), runtime_prefix=str(directory / "prefix"))
    return msgspec.structs.replace(base, **fields)


def executable(path: Path, text: str = "#!/bin/sh\n") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_the_prefix_comes_before_the_path(directory: Path) -> None:
    made = executable(directory / "prefix/bin/crun")
    assert program(settings(directory), "crun") == made
    assert program(settings(directory), "nosuchprogram") == ""


def test_runtimes_by_name(directory: Path) -> None:
    executable(directory / "prefix/bin/crun")
    runtimes = Runtimes(settings(directory, runtimes={"kata": "/opt/kata"}))
    assert runtimes.get("kata").program == "/opt/kata"
    assert runtimes.get("").name == runtimes.get("io.containerd.runc.v2").name == "crun"
    assert runtimes.get("crun").state.is_dir()
    for name in ("nort", "../crun", "/bin/sh"):
        with pytest.raises(InvalidArgument, match=f"unknown or invalid runtime name: {name}"):
            runtimes.get(name)


def crun(directory: Path) -> Runtime:
    """A runtime with crun's state of a container c that waits."""
    made = Runtime("crun", executable(directory / "crun", '#!/bin/sh\necho "$@" >&2; exit 1\n'), directory / "state")
    (directory / "state/c").mkdir(parents=True)
    (directory / "state/c/status").touch()
    os.mkfifo(directory / "state/c/exec.fifo")
    return made


def test_a_start_writes_to_the_fifo(directory: Path) -> None:
    runtime = crun(directory)
    assert runtime.waits("c")
    reader = os.open(directory / "state/c/exec.fifo", os.O_RDONLY | os.O_NONBLOCK)
    runtime.start("c")
    assert os.read(reader, 10) == b"\0"
    os.close(reader)
    assert not runtime.waits("c")
    with pytest.raises(Conflict, match="is not waiting to be started"):
        runtime.start("c")


def test_a_process_that_died_before_its_start(directory: Path) -> None:
    with pytest.raises(Conflict):
        crun(directory).start("c")


def test_state_is_forgotten_without_the_program(directory: Path) -> None:
    runtime = crun(directory)
    runtime.forget("c")
    runtime.forget("c")
    assert not (directory / "state/c").exists()


def test_the_compiled_filter_is_found(directory: Path) -> None:
    runtime = crun(directory)
    assert runtime.filter_bpf("c") == ""
    (directory / "state/c/seccomp.bpf").write_bytes(b"\1\2")
    assert base64.b64decode(runtime.filter_bpf("c")) == b"\1\2"


def test_another_runtime_is_asked_by_its_command_line(directory: Path) -> None:
    log = directory / "log"
    other = Runtime(
        "other", executable(directory / "other", f'#!/bin/sh\necho "$@" >> {log}; cat >> {log}\n'), directory / "s"
    )
    (directory / "s/c").mkdir(parents=True)
    other.start("c")
    other.forget("c")
    other.forget("gone")
    other.update("c", {"pids": {"limit": 5}})
    assert log.read_text() == (
        f"--root {directory}/s start c\n--root {directory}/s delete --force c\n"
        f'--root {directory}/s update --resources - c\n{{"pids":{{"limit":5}}}}'
    )


def test_its_failures_are_told(directory: Path) -> None:
    failing = Runtime("x", executable(directory / "x", "#!/bin/sh\necho no >&2; exit 3\n"), directory / "s")
    with pytest.raises(Internal, match="OCI runtime start failed: no"):
        failing.start("c")
    with pytest.raises(Internal, match="y start"):
        Runtime("y", "/nosuch", directory / "s").start("c")
