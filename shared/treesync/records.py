"""What passes between the two ends: MessagePack records, each after its length (4 bytes, big endian).

Paths are beneath the tree's root, the root itself is b"". A `Node` comes after the directory that it is in; `Data`
belongs to the file of the last `Node`; the `End` is last.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from shared.errors import InvalidArgument

MOST_BYTES = 2 << 20
"""The longest record."""


class Node(msgspec.Struct, frozen=True, array_like=True, tag="n"):
    """What is at `path`. `mode` as in stat(2), with the kind; `target`: where a link leads, or with `hard` the
    earlier path of the same file. `fresh`: whatever is there gives way; else a file of that kind is there, and
    changes as the `Data` say.
    """

    path: bytes
    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    size: int = 0
    device: int = 0
    target: bytes = b""
    hard: bool = False
    fresh: bool = True
    xattrs: dict[str, bytes] = {}


class Data(msgspec.Struct, frozen=True, array_like=True, tag="d"):
    """Bytes of the last file, from `offset` on."""

    offset: int
    data: bytes


class Gone(msgspec.Struct, frozen=True, array_like=True, tag="g"):
    """Nothing is at `path` any more; what was below it is gone as well."""

    path: bytes


class End(msgspec.Struct, frozen=True, array_like=True, tag="e"):
    """The pass is complete: so many records came before."""

    records: int


Record = Node | Data | Gone | End
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


def encode(record: Record) -> bytes:
    """The record with its length."""
    body = _encoder.encode(record)
    return len(body).to_bytes(4, "big") + body


class Decoder:
    """Takes records out of a stream, however it is cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Record]:
        """The records complete so far; `InvalidArgument` for what is none."""
        self._buffer += data
        at = 0
        try:
            while len(self._buffer) - at >= 4:
                length = int.from_bytes(self._buffer[at : at + 4], "big")
                if length > MOST_BYTES:
                    raise InvalidArgument(f"a record of {length} bytes in a tree's stream")
                if len(self._buffer) - at - 4 < length:
                    break
                yield _decode(bytes(self._buffer[at + 4 : at + 4 + length]))
                at += 4 + length
        finally:
            del self._buffer[:at]


def _decode(body: bytes) -> Record:
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"not a record of a tree's stream: {error}") from None
