"""A netlink conversation with the kernel: requests sent together, answers awaited, errors raised."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator

from .rtnetlink import NLM_F_DUMP, Link, Message, all_links, attributes, get_link, parse_link

SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 10, 11
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CAPPED, NLM_F_ACK_TLVS = 1, 4, 0x100, 0x200
NLMSGERR_ATTR_MSG = 1
_HEADER = struct.Struct("=IHHII")
_RECEIVE = 1 << 16


class Netlink:
    """One socket in the network namespace that the opening thread was in; may be used from any thread."""

    def __init__(self, protocol: int = socket.NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._socket.bind((0, 0))
        self._lock = threading.Lock()
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def request(self, *messages: Message) -> None:
        """Sends all at once; the kernel carries out each in order. Raises `OSError` of the first that failed."""
        with self._lock:
            first = self._sequence + 1
            self._socket.sendall(b"".join(self._encode(message, NLM_F_ACK) for message in messages))
            failures: dict[int, OSError] = {}
            answered = 0
            while answered < len(messages):
                for kind, flags, sequence, body in self._receive():
                    if kind != NLMSG_ERROR or sequence < first:
                        continue
                    answered += 1
                    if failure := _error(body, flags):
                        failures[sequence] = failure
        if failures:
            raise failures[min(failures)]

    def dump(self, message: Message) -> list[bytes]:
        """Bodies of all answers to a dump request."""
        with self._lock:
            self._socket.sendall(self._encode(message, 0))
            return list(self._answers(self._sequence))

    def get(self, message: Message) -> bytes:
        """Body of the one answer. Raises `OSError`."""
        with self._lock:
            self._socket.sendall(self._encode(message, 0))
            for kind, flags, sequence, body in self._receive():
                if sequence == self._sequence:
                    if kind == NLMSG_ERROR and (failure := _error(body, flags)):
                        raise failure
                    return body
        raise OSError("no answer from netlink")

    def link(self, name: str) -> Link | None:
        """The interface of that name."""
        try:
            return parse_link(self.get(get_link(name)))
        except OSError as error:
            if error.errno == 19:  # ENODEV
                return None
            raise

    def links(self) -> list[Link]:
        return [parse_link(body) for body in self.dump(all_links())]

    def _encode(self, message: Message, flags: int) -> bytes:
        self._sequence += 1
        length = _HEADER.size + len(message.body)
        head = _HEADER.pack(length, message.kind, message.flags | flags | NLM_F_REQUEST, self._sequence, 0)
        return head + message.body + b"\0" * (-length % 4)

    def _answers(self, wanted: int) -> Iterator[bytes]:
        while True:
            for kind, flags, sequence, body in self._receive():
                if sequence != wanted:
                    continue
                if kind == NLMSG_ERROR and (failure := _error(body, flags)):
                    raise failure
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    return
                yield body

    def _receive(self) -> Iterator[tuple[int, int, int, bytes]]:
        data = self._socket.recv(_RECEIVE)
        at = 0
        while at + _HEADER.size <= len(data):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data, at)
            yield kind, flags, sequence, data[at + _HEADER.size : at + length]
            at += (length + 3) & ~3


def _error(body: bytes, flags: int) -> OSError | None:
    """What an NLMSG_ERROR says; None for a plain acknowledgement. The kernel's own words where it gives them."""
    number = -struct.unpack_from("=i", body)[0]
    if not number:
        return None
    text = ""
    if flags & NLM_F_ACK_TLVS:
        text = attributes(body[20:]).get(NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode(errors="replace")
    return OSError(number, f"{os.strerror(number)} ({text})" if text else os.strerror(number))


__all__ = ["NLM_F_DUMP", "Netlink"]
