"""Detach keys: the sequence that takes a client off a terminal without ending the program."""

from __future__ import annotations

from shared.errors import InvalidArgument

DEFAULT = b"\x10\x11"
"""ctrl-p, ctrl-q."""
_CONTROL = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse(text: str, what: str = "detach") -> bytes:
    """`ctrl-p,ctrl-q`, `ctrl-a`, `a,b`: comma-separated keys. Empty: the default. Raises `InvalidArgument`.

    `what` the refusal calls them: dockerd says «escape keys» of an exec.
    """
    if not text:
        return DEFAULT
    try:
        return bytes(_key(key) for key in text.split(","))
    except ValueError:
        raise InvalidArgument(f"Invalid {what} keys ({text}) provided") from None


def _key(key: str) -> int:
    if len(key) == 1 and key.isascii():
        return ord(key)
    name, dash, letter = key.partition("-")
    if name != "ctrl" or not dash or len(letter) != 1:
        raise ValueError(key)
    if "a" <= letter <= "z":
        return ord(letter) - ord("a") + 1
    return _CONTROL[letter] if letter in _CONTROL else _unknown(key)


def _unknown(key: str) -> int:
    raise ValueError(key)


class Scanner:
    """Watches input for the sequence. Bytes that begin it are held back until it is clear that they do not."""

    def __init__(self, sequence: bytes) -> None:
        self._sequence = sequence
        self._held = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """The bytes to pass on, and whether the client detaches; what comes after the sequence is dropped."""
        if not self._held and self._sequence[0] not in data:
            return data, False
        out = bytearray()
        for byte in data:
            if byte == self._sequence[self._held]:
                self._held += 1
                if self._held == len(self._sequence):
                    return bytes(out), True
                continue
            out += self._sequence[: self._held]
            self._held = 0
            if byte == self._sequence[0] and len(self._sequence) > 1:
                self._held = 1
            else:
                out.append(byte)
        return bytes(out), False

    def rest(self) -> bytes:
        """What is held back when the input ends."""
        held, self._held = self._sequence[: self._held], 0
        return held
