"""What a failed start means: exit code and text, as dockerd's `setExitCodeFromError` has it."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import InvalidArgument, ShoalError

NOT_EXECUTABLE = 126
NOT_FOUND = 127
UNKNOWN = 128

_DENIED = "permission denied"
_DIRECTORY = "is a directory"
_NOT_DIRECTORY = "not a directory"
_MISSING = ("executable file not found", "no such file or directory", "system cannot find the file specified")
_MOUNT_HINT = (
    ": Are you trying to mount a directory onto a file (or vice-versa)? "
    "Check if the specified host path exists and is the expected type"
)


@dataclass(frozen=True)
class Failure:
    """`code` for the container's status, `error` for the client."""

    code: int
    error: ShoalError


def of_start(error: ShoalError) -> Failure:
    """The command or a mount was wrong (400), or something else (the error's own kind)."""
    text = error.message.lower()
    if _DENIED in text:
        return Failure(NOT_EXECUTABLE, InvalidArgument(error.message))
    if _DIRECTORY in text:  # clients tell 126 from 125 by the words «permission denied»
        return Failure(NOT_EXECUTABLE, InvalidArgument(f"{error.message}: {_DENIED}"))
    if _NOT_DIRECTORY in text:
        return Failure(NOT_FOUND, InvalidArgument(error.message + _MOUNT_HINT))
    if any(words in text for words in _MISSING):
        return Failure(NOT_FOUND, InvalidArgument(error.message))
    return Failure(UNKNOWN, error)
