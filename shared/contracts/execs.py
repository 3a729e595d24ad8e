"""Messages about further processes in containers, and about their files (part of executor's contract)."""

from __future__ import annotations

from shared.contracts.base import Message
from shared.contracts.common import StreamOffer


class ExecCreateRequest(Message, frozen=True):
    id: str
    cmd: tuple[str, ...]
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    tty: bool = False
    env: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    privileged: bool = False
    detach_keys: str = ""
    console_size: tuple[int, int] = (0, 0)
    called: str = ""
    """What the client called the container, for messages; empty: its id."""
    exec_id: str = ""
    """Its id where the caller has chosen one, 64 hexadecimal digits; making it again changes nothing."""
    at: int = 0
    """The time that its event tells, in nanoseconds; 0: when the executor learns of it."""


class ExecStartRequest(Message, frozen=True):
    exec_id: str
    detach: bool = False
    tty: bool = False
    console_size: tuple[int, int] = (0, 0)


class ExecStartReply(Message, frozen=True):
    """`offer` is None when detached."""

    offer: StreamOffer | None = None
    tty: bool = False


class ExecRef(Message, frozen=True):
    exec_id: str


class ExecState(Message, frozen=True):
    """Docker's `ExecInspectResponse`. `exit_code` None while not ended."""

    id: str
    container_id: str
    request: ExecCreateRequest
    running: bool = False
    exit_code: int | None = None
    pid: int = 0


class PathRequest(Message, frozen=True):
    """Something in a container's file system; error texts call the container `reference`."""

    id: str
    path: str
    reference: str = ""


class PathStat(Message, frozen=True):
    """What is there: `mode` as in stat(2), `mtime` in nanoseconds. `link_target`: where a link leads in the end."""

    name: str
    size: int
    mode: int
    mtime: int
    link_target: str = ""


class ReadReply(Message, frozen=True):
    """`offer` is a tar archive; its two last blocks tell that it is complete."""

    stat: PathStat
    offer: StreamOffer


class WriteRequest(PathRequest, frozen=True):
    """`no_overwrite_dir_non_dir`: a directory does not replace something else, nor the other way round.

    `copy_uid_gid`: all becomes the container's user's.
    """

    no_overwrite_dir_non_dir: bool = False
    copy_uid_gid: bool = False
