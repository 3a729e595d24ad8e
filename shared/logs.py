"""The log of an engine process: one JSON object a line on standard error, bounded in size where that is a file."""

from __future__ import annotations

import logging
import os
import stat
import sys

import msgspec

from shared.clock import rfc3339

LOG_BYTES = 8 << 20
"""Size at which a log file is put aside as `<name>.1` in place of the one before it."""


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": rfc3339(int(record.created * 1e9)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class _BoundedHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to standard error; what else is printed there goes to the same file, before and after it is put aside."""

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        put_aside(sys.stderr.fileno(), LOG_BYTES)


def put_aside(descriptor: int, limit: int) -> None:
    """Replaces the file behind a descriptor by an empty one of the same name, once it is larger than `limit`."""
    state = os.fstat(descriptor)
    if state.st_size < limit or not stat.S_ISREG(state.st_mode):
        return
    path = os.readlink(f"/proc/self/fd/{descriptor}")
    try:
        os.rename(path, f"{path}.1")
        fresh = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, stat.S_IMODE(state.st_mode))
    except OSError:
        return  # no place for a new one, or removed by somebody: the old one goes on
    os.dup2(fresh, descriptor)
    os.close(fresh)


def configure(level: str) -> None:
    """Sends all logging of this process to standard error; nothing to do in a fork of one that does so already."""
    root = logging.getLogger()
    if root.level == logging.getLevelNamesMapping()[level.upper()] and [*map(_ours, root.handlers)] == [True]:
        return
    handler = _BoundedHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _ours(handler: logging.Handler) -> bool:
    return isinstance(handler, _BoundedHandler) and handler.stream is sys.stderr
