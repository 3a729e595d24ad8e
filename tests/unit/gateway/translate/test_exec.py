from __future__ import annotations

import pytest

from gateway.translate import exec as shown
from shared.contracts.execs import ExecCreateRequest, ExecStartRequest, ExecState
from shared.errors import InvalidArgument
from shared.streams import frame


def test_a_start() -> None:
    assert shown.start_request("e", None, (0, 0)) == ExecStartRequest(exec_id="e")
    assert shown.start_request("e", {"detach": True, "Tty": False}, (2, 3)) == ExecStartRequest(
        exec_id="e", detach=True
    )
    assert shown.start_request("e", {"Tty": True}, (2, 3)) == ExecStartRequest(
        exec_id="e", tty=True, console_size=(2, 3)
    )


def test_flags_are_flags() -> None:
    with pytest.raises(InvalidArgument, match=r"ExecStartConfig\.Tty"):
        shown.start_request("e", {"Tty": 1}, (0, 0))


def test_inspect_before_during_and_after() -> None:
    request = ExecCreateRequest(id="c", cmd=("sh", "-c", "id"), attach_stdout=True, user="alice")
    data = shown.inspect(ExecState(id="e", container_id="c", request=request))
    assert (data["ExitCode"], data["Running"], data["OpenStdout"], data["OpenStdin"]) == (None, False, True, False)
    assert data["ProcessConfig"] == {
        "tty": False,
        "entrypoint": "sh",
        "arguments": ("-c", "id"),
        "privileged": False,
        "user": "alice",
    }
    ended = shown.inspect(ExecState(id="e", container_id="c", request=request, exit_code=4, pid=7))
    assert (ended["ExitCode"], ended["Pid"], ended["CanRemove"]) == (4, 7, False)


def test_errors_on_the_stream() -> None:
    assert shown.error_output("no", tty=True) == b"no\r\n"
    assert shown.error_output("no", tty=False) == frame(1, b"no\r\n")
