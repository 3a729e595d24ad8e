"""Messages to a syslog server (RFC 3164, RFC 5424, RFC 5425), in the shapes of Docker's driver."""

from __future__ import annotations

from datetime import datetime

from shared.contracts.platform import LogSink

from .logs import STDERR
from .messages import Logged

ERROR, INFORMATION = 3, 6
LOCAL = ("/dev/log", "/var/run/syslog", "/var/run/log")
"""Where a host's own server listens."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def record(sink: LogSink, message: Logged, hostname: str, pid: int) -> bytes:
    """One message as it is sent, framed for its transport."""
    priority = sink.facility << 3 | (ERROR if message.stream == STDERR else INFORMATION)
    time, tag = message.time(), sink.tag
    if sink.form in ("rfc5424", "rfc5424micro"):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S" + (".%fZ" if sink.form == "rfc5424micro" else "Z"))
        head = f"<{priority}>1 {stamp} {hostname} {tag} {pid} {tag} - "
    elif sink.form == "rfc3164":
        head = f"<{priority}>{old_stamp(time.astimezone())} {hostname} {tag}[{pid}]: "
    else:
        head = f"<{priority}>{old_stamp(time.astimezone())} {tag}[{pid}]: "
    body = head.encode() + message.text + b"\n"
    counted = sink.transport == "tcp+tls" and sink.form.startswith("rfc5424")
    return b"%d %s" % (len(body), body) if counted else body


def old_stamp(time: datetime) -> str:
    """`Jan  2 15:04:05`, whatever the locale."""
    return f"{_MONTHS[time.month - 1]} {time.day:2d} {time:%H:%M:%S}"
