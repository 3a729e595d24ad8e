from pathlib import Path

from tools.toolchain.parts import Part
from tools.toolchain.probe import in_prefix, on_system, probe

BASH = Part(name="bash", packages=("bash",), minimum=(4, 0), reason="old")


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_systems_own_program_is_found_and_judged():
    finding = on_system(BASH)
    assert finding.path is not None
    assert finding.problem == ""
    assert finding.version[0].isdigit()


def test_what_is_not_there_is_said_to_be_missing(tmp_path):
    absent = Part(name="no-such-program", packages=(), minimum=(1,), reason="")
    assert on_system(absent).problem == "no-such-program is not installed"
    assert in_prefix(tmp_path, [BASH])[0].problem == "bash is not installed"


def test_a_failing_self_test_is_reported_with_what_the_program_said(tmp_path):
    part = Part(name="criu", packages=(), minimum=(1, 0), reason="", self_test=("check",))
    path = script(
        tmp_path / "criu", '[ "$1" = --version ] && echo Version: 4.2.1 && exit 0\necho no userfaultfd >&2; exit 1'
    )
    assert probe(part, path).problem == "criu check: no userfaultfd"


def test_a_program_that_cannot_run_is_a_problem_not_a_crash(tmp_path):
    path = tmp_path / "bash"
    path.write_text("\x7fELF nonsense")
    path.chmod(0o755)
    assert probe(BASH, path).problem
