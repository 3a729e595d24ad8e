"""What service and proxy say to each other: one packet each, on a unix socket that carries descriptors. Pure."""

from __future__ import annotations

from dataclasses import dataclass

HOLD, DROP, HELD, ALL, DONE = "hold", "drop", "held", "all", "done"
"""To the proxy: hold, drop. From it: held (an entry of before), all (those were all; its key is
the proxy's process number), done (with a drop, and with what an entry was before)."""
LONGEST = 4096
DESCRIPTORS = 8


@dataclass(frozen=True)
class Message:
    """A packet. `target` is where what arrives at the entry's socket is relayed to: protocol, address, port."""

    verb: str
    key: str = ""
    target: tuple[str, str, int] | None = None

    def encode(self) -> bytes:
        words = [self.verb, self.key, *(map(str, self.target) if self.target else ())]
        return "\n".join(words).encode()


def decode(data: bytes) -> Message:
    """Raises `ValueError` for what `Message.encode` cannot have made."""
    verb, key, *target = data.decode().split("\n")
    if not target:
        return Message(verb, key)
    protocol, address, port = target
    return Message(verb, key, (protocol, address, int(port)))
