from __future__ import annotations

import pytest

from services.executor.domain import failure
from shared.errors import Conflict, Internal, InvalidArgument, ShoalError


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ('exec: "nope": executable file not found in $PATH', 127, ""),
        ("stat /x: no such file or directory", 127, ""),
        ("No such file or directory", 127, ""),
        ('exec: "/etc": permission denied', 126, ""),
        ('exec: "/etc": is a directory', 126, ": permission denied"),
        ("mount /a to /b: not a directory", 127, failure._MOUNT_HINT),
    ],
)
def test_a_wrong_command_or_mount_is_the_clients_fault(text: str, code: int, told: str) -> None:
    failed = failure.of_start(Internal(text))
    assert failed.code == code
    assert isinstance(failed.error, InvalidArgument)
    assert failed.error.message == text + told


@pytest.mark.parametrize("error", [Internal("boom"), Conflict("port is already allocated")])
def test_anything_else_keeps_its_kind(error: ShoalError) -> None:
    failed = failure.of_start(error)
    assert failed.code == 128
    assert failed.error is error
