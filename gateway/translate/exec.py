"""Exec instances, to and from Docker's JSON."""

from __future__ import annotations

from typing import Any

from shared.contracts.execs import ExecStartRequest, ExecState
from shared.errors import InvalidArgument
from shared.streams import FRAME_HEADER

from .create import member

_STDOUT = 1


def start_request(id: str, data: dict[str, Any] | None, console_size: tuple[int, int]) -> ExecStartRequest:
    """The executor's request; raises `InvalidArgument` naming the field."""
    flags = {}
    for name in ("Detach", "Tty"):
        value = member(data or {}, name)
        if value is not None and not isinstance(value, bool):
            raise InvalidArgument(f"invalid JSON: ExecStartConfig.{name}: Expected `bool`")
        flags[name] = bool(value)
    tty = flags["Tty"]
    return ExecStartRequest(exec_id=id, detach=flags["Detach"], tty=tty, console_size=console_size if tty else (0, 0))


def inspect(state: ExecState) -> dict[str, Any]:
    """The answer of `GET /exec/{id}/json`."""
    request = state.request
    process: dict[str, Any] = {
        "tty": request.tty,
        "entrypoint": request.cmd[0] if request.cmd else "",
        "arguments": request.cmd[1:],
        "privileged": request.privileged,
    }
    if request.user:
        process["user"] = request.user
    return {
        "ID": state.id,
        "Running": state.running,
        "ExitCode": state.exit_code,
        "ProcessConfig": process,
        "OpenStdin": request.attach_stdin,
        "OpenStderr": request.attach_stderr,
        "OpenStdout": request.attach_stdout,
        "CanRemove": False,
        "ContainerID": state.container_id,
        "DetachKeys": request.detach_keys,
        "Pid": state.pid,
    }


def error_output(text: str, tty: bool) -> bytes:
    """An error as the stream of an exec shows it: dockerd writes it among the output."""
    data = f"{text}\r\n".encode()
    return data if tty else FRAME_HEADER.pack(_STDOUT, len(data)) + data
