"""DNS messages (RFC 1035), as far as the embedded server reads and writes them: one question, answers to it."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from .addresses import Address

A, PTR, AAAA, OPT, ANY = 1, 12, 28, 41, 255
IN = 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP = 0, 1, 2, 3, 4
TTL = 600
"""Seconds, as dockerd answers."""
LARGEST_UDP = 512
"""Bytes of an answer to a client that does not say it takes more."""
_HEADER = struct.Struct("!HHHHHH")
_RESPONSE, _OPCODE, _RECURSION_DESIRED, _RECURSION_AVAILABLE, _TRUNCATED = 0x8000, 0x7800, 0x0100, 0x0080, 0x0200
_POINTER_TO_QUESTION = b"\xc0\x0c"
_OPT = struct.pack("!BHHIH", 0, OPT, 4096, 0, 0)
"""What a client that speaks EDNS is told of this server."""


@dataclass(frozen=True)
class Query:
    """A question as asked: `name` in lower case without the last dot; `wire` is its encoded form.

    `largest`: bytes of the largest datagram that the client takes; `extended`: it said so (EDNS, RFC 6891).
    """

    id: int
    flags: int
    name: str
    kind: int
    wire: bytes
    largest: int = LARGEST_UDP
    extended: bool = False


def parse(message: bytes) -> Query:
    """The question of a query. Raises `ValueError` for what is none."""
    if len(message) < _HEADER.size:
        raise ValueError("shorter than a header")
    identity, flags, questions, answers, authorities, additional = _HEADER.unpack_from(message)
    if flags & _RESPONSE or questions != 1:
        raise ValueError("not one question")
    labels, at = [], _HEADER.size
    while length := _octet(message, at):
        if length > 63:
            raise ValueError("a label is too long")
        label = message[at + 1 : at + 1 + length]
        labels.append(label.decode("ascii", errors="replace").lower())
        at += 1 + length
    end = at + 5
    if end > len(message) or at - _HEADER.size > 254:
        raise ValueError("cut short, or a name too long")
    kind, _ = struct.unpack_from("!HH", message, at + 1)
    largest = _largest(message, end) if additional and not (answers or authorities) else 0
    return Query(
        identity, flags, ".".join(labels), kind, message[_HEADER.size : end],
        largest=max(largest, LARGEST_UDP), extended=largest > 0,
    )  # fmt: skip


def _largest(message: bytes, at: int) -> int:
    """The payload size of an OPT record that follows the question; 0 when another record does."""
    if len(message) < at + 11 or message[at]:
        return 0
    kind, size = struct.unpack_from("!HH", message, at + 1)
    return max(size, LARGEST_UDP) if kind == OPT else 0


def _octet(message: bytes, at: int) -> int:
    if at >= len(message):
        raise ValueError("cut short")
    return message[at]


def answer_addresses(query: Query, addresses: Sequence[Address], largest: int = LARGEST_UDP) -> bytes:
    """Addresses to a question for them; to one for another type nothing, which says that the name is known."""
    version = {A: 4, AAAA: 6}.get(query.kind, 0)
    wanted = [each for each in addresses if each.version == version or query.kind == ANY]
    records = [_record(A if each.version == 4 else AAAA, each.packed) for each in wanted]
    room = largest - _HEADER.size - len(query.wire) - (len(_OPT) if query.extended else 0)
    fitting = len(records)
    while fitting and sum(map(len, records[:fitting])) > room:
        fitting -= 1
    return _message(query, NOERROR, records[:fitting], truncated=fitting < len(records))


def answer_pointer(query: Query, name: str) -> bytes:
    """A name to a question for an address."""
    return _message(query, NOERROR, [_record(PTR, encode_name(name))])


def refuse(query: Query, code: int) -> bytes:
    """An answer without records."""
    return _message(query, code, [])


def has_several(answer: bytes) -> bool:
    """Whether an answer has more than one record: their order changes from answer to answer."""
    return int(_HEADER.unpack_from(answer)[3]) > 1


def malformed(message: bytes) -> bytes:
    """What a message that cannot be read is answered with; empty: nothing."""
    if len(message) < _HEADER.size or message[2] & 0x80:
        return b""
    return message[:2] + struct.pack("!HHHHH", _RESPONSE | FORMERR, 0, 0, 0, 0)


def _message(query: Query, code: int, records: Sequence[bytes], *, truncated: bool = False) -> bytes:
    flags = _RESPONSE | query.flags & (_OPCODE | _RECURSION_DESIRED) | _RECURSION_AVAILABLE | code
    flags |= _TRUNCATED if truncated else 0
    tail = _OPT if query.extended else b""
    return _HEADER.pack(query.id, flags, 1, len(records), 0, bool(tail)) + query.wire + b"".join(records) + tail


def _record(kind: int, data: bytes) -> bytes:
    return _POINTER_TO_QUESTION + struct.pack("!HHIH", kind, IN, TTL, len(data)) + data


def is_name(text: str) -> bool:
    """Whether DNS can carry it."""
    return 0 < len(text) < 254 and all(0 < len(label.encode()) < 64 for label in text.split("."))


def encode_name(name: str) -> bytes:
    """A name as labels with their lengths. Raises `ValueError` for one that DNS cannot carry."""
    encoded = b""
    for label in name.strip(".").split("."):
        raw = label.encode()
        if not 0 < len(raw) < 64:
            raise ValueError(f"not a DNS name: {name!r}")
        encoded += bytes([len(raw)]) + raw
    return encoded + b"\0"


def pointed_at(name: str) -> Address | None:
    """The address that `2.0.17.172.in-addr.arpa`, or 32 digits below `ip6.arpa`, asks about."""
    labels = name.split(".")[:-2]
    try:
        if name.endswith(".in-addr.arpa"):
            return ipaddress.IPv4Address(".".join(reversed(labels)))
        if name.endswith(".ip6.arpa") and len(labels) == 32 and all(len(label) == 1 for label in labels):
            return ipaddress.IPv6Address(int("".join(reversed(labels)), 16))
    except ValueError:
        pass
    return None
