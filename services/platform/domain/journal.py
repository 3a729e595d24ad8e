"""Messages to the journal (systemd's native protocol, `JOURNAL_NATIVE_PROTOCOL`)."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from .logs import STDERR
from .messages import Logged
from .syslog import ERROR, INFORMATION

SOCKET = "/run/systemd/journal/socket"


def record(fields: Mapping[str, str], message: Logged, ordinal: int, line: str) -> bytes:
    """One datagram. `ordinal` counts messages, `line` names the line that pieces belong to."""
    own = {
        "PRIORITY": str(ERROR if message.stream == STDERR else INFORMATION),
        "SYSLOG_TIMESTAMP": f"{message.stamp}Z",
        "CONTAINER_LOG_ORDINAL": str(ordinal),
    }
    if message.ordinal:
        own |= {
            "CONTAINER_PARTIAL_ID": line,
            "CONTAINER_PARTIAL_ORDINAL": str(message.ordinal),
            "CONTAINER_PARTIAL_LAST": "true" if message.last else "false",
        }
        if not message.last:
            own["CONTAINER_PARTIAL_MESSAGE"] = "true"
    named = {name: value.encode() for name, value in (dict(fields) | own).items()}
    return b"".join(field(name, value) for name, value in {"MESSAGE": message.text, **named}.items())


def field(name: str, value: bytes) -> bytes:
    """`NAME=value` on a line; a value with line ends in it has its length before it."""
    if b"\n" in value:
        return name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
    return name.encode() + b"=" + value + b"\n"
