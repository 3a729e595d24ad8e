"""What the service and its registry helper say to each other.

They share a SOCK_SEQPACKET socket. A command is one packet with two descriptors: a memory file that holds the `Command`
as JSON, and the file whose bytes go out or come in. All that comes back are packets with a `Said` as JSON.
"""

from __future__ import annotations

import os
import socket
from typing import Literal

import msgspec

from shared.contracts.distribution import Credentials

LONGEST_SAID = 128 << 10
LONGEST_TEXT = 16 << 10
"""Bytes of the body of an answer with a status of failure that are kept."""
LONGEST_DOCUMENT = 8 << 20


class Trust(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whom to trust at the other end of TLS: PEM of more authorities, and (certificate, key) of ours."""

    verified: bool = True
    authorities: tuple[str, ...] = ()
    certificates: tuple[tuple[str, str], ...] = ()


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request to a registry.

    `exchange` sends the file's bytes, if any, and puts a good answer's body into it. `download` adds to the file, which
    has `begin` bytes of `size` in all. `upload` sends the file, compressed by gzip when `compress`. Credentials go to
    the origin of `url` and to its token service alone. `patience`: seconds without a byte; `whole`: for an exchange.
    """

    id: int
    do: Literal["exchange", "download", "upload", "cancel"]
    method: str = "GET"
    url: str = ""
    headers: dict[str, str] = {}
    login: Credentials = Credentials()
    scopes: tuple[str, ...] = ()
    offline: bool = False
    trust: Trust = Trust()
    begin: int = 0
    size: int = -1
    compress: bool = False
    patience: float = 60.0
    whole: float = 60.0


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`progress`: bytes passed; `answer`: the registry's; `failure`: there is none, `text` says why.

    `digest` and `size` are those of the bytes that passed; `text` is the body of an answer with a status of failure.
    `trouble` is the kind of a failure: `plain` (no TLS spoken there), `large`, `reset` (the file starts anew), `full`
    (the disk), `final` (trying again is of no use), or ""; its `status` is the token service's, if that refused.
    """

    id: int
    kind: Literal["progress", "answer", "failure"]
    at: int = 0
    status: int = 0
    reason: str = ""
    headers: dict[str, str] = {}
    text: bytes = b""
    digest: str = ""
    size: int = 0
    trouble: str = ""
    identity_token: str = ""


def send_command(channel: socket.socket, command: Command, file: int) -> None:
    """Sends a command and the descriptor of its file. `BlockingIOError` when the channel is full."""
    sheet = os.memfd_create("command", os.MFD_CLOEXEC)
    try:
        os.write(sheet, msgspec.json.encode(command))
        socket.send_fds(channel, [b"c"], [sheet, file])
    finally:
        os.close(sheet)


def receive_command(channel: socket.socket) -> tuple[Command, int] | None:
    """The next command and its file, which the caller closes; None when the other side has gone."""
    data, descriptors, _, _ = socket.recv_fds(channel, 1, 2, socket.MSG_CMSG_CLOEXEC)
    if not data:
        return None
    sheet, file = descriptors
    with open(sheet, "rb") as written:
        return msgspec.json.decode(os.pread(written.fileno(), os.fstat(sheet).st_size, 0), type=Command), file


def receive_said(channel: socket.socket) -> Said | None:
    """The next packet of the helper; None when it has gone."""
    data = channel.recv(LONGEST_SAID)
    return msgspec.json.decode(data, type=Said) if data else None
