"""One direction between two hosts under one key: AES-256-GCM with 64-bit sequence numbers (RFC 4106, RFC 4304)."""

from __future__ import annotations

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .frame import Joiner

KEY_BYTES, SALT_BYTES, TAG_BYTES = 32, 4, 16
WINDOW = 4096
"""Messages that may arrive late (RFC 4303, 3.4.3): more than the queues of a host hold."""
_AAD = struct.Struct(">IQ")
_COUNTER = struct.Struct(">Q")


class Keys:
    """What both ends of a direction know: `material` is key and salt, 36 bytes."""

    def __init__(self, spi: int, material: bytes) -> None:
        if len(material) != KEY_BYTES + SALT_BYTES:
            raise ValueError("key material has 36 bytes")
        self.spi = spi
        self.cipher = AESGCM(material[:KEY_BYTES])
        self.salt = material[KEY_BYTES:]

    def nonce(self, sequence: int) -> bytes:
        return self.salt + _COUNTER.pack(sequence)

    def bound(self, sequence: int) -> bytes:
        """What is authenticated beside the message."""
        return _AAD.pack(self.spi, sequence)


class Outbound:
    """Seals; never twice under one sequence number."""

    def __init__(self, spi: int, material: bytes) -> None:
        self._keys = Keys(spi, material)
        self.spi = spi
        self.sequence = 0
        self.octets = 0

    def seal(self, message: memoryview, into: memoryview) -> tuple[int, memoryview]:
        """The message's sequence number and its sealed form, which lies in `into` until the next call."""
        self.sequence += 1
        self.octets += len(message)
        length = len(message) + TAG_BYTES
        sealed, keys = into[:length], self._keys
        keys.cipher.encrypt_into(keys.nonce(self.sequence), message, keys.bound(self.sequence), sealed)
        return self.sequence, sealed


class Inbound:
    """Opens each message once."""

    def __init__(self, spi: int, material: bytes) -> None:
        self._keys = Keys(spi, material)
        self.joiner = Joiner()
        self._highest = 0
        self._seen = 0
        """Bit n: message `highest - n` has come."""

    def open(self, sequence: int, sealed: bytes, into: memoryview) -> int:
        """Length of the message, which lies in `into`; 0 for one that is not genuine, came before, or is too late."""
        behind = self._highest - sequence
        if behind >= WINDOW or (behind >= 0 and self._seen >> behind & 1):
            return 0
        length, keys = len(sealed) - TAG_BYTES, self._keys
        if not 0 < length <= len(into):
            return 0
        try:
            keys.cipher.decrypt_into(keys.nonce(sequence), sealed, keys.bound(sequence), into[:length])
        except InvalidTag:
            return 0
        if behind < 0:
            self._seen = (self._seen << -behind if -behind < WINDOW else 0) & (1 << WINDOW) - 1 | 1
            self._highest = sequence
        else:
            self._seen |= 1 << behind
        return length
