"""What each end of a stream across hosts knows: which frames came, and how many more may be sent. Pure.

Frames are numbered. The reader tells how many it has received in order and how many its user has taken; the
writer keeps what was not received, to send it again, and stops `WINDOW` frames ahead of the user.
"""

from __future__ import annotations

from collections import deque

WINDOW = 16


class Outgoing:
    """The writing side of one direction."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._taken = 0
        self.sent = 0

    @property
    def has_room(self) -> bool:
        """Whether the other side can take one more frame."""
        return self.sent - self._taken < WINDOW

    @property
    def is_settled(self) -> bool:
        """Whether all that was sent was received."""
        return not self._frames

    def add(self, frame: bytes) -> int:
        """Keeps a frame until it was received; its number."""
        self._frames.append(frame)
        self.sent += 1
        return self.sent - 1

    def told(self, received: int, taken: int) -> None:
        """The other side's counts; old and impossible ones change nothing."""
        if taken <= received <= self.sent:
            while self.sent - len(self._frames) < received:
                self._frames.popleft()
            self._taken = max(self._taken, taken)

    def missing(self) -> list[tuple[int, bytes]]:
        """All that was not received, as far as is known, with its numbers."""
        return list(enumerate(self._frames, self.sent - len(self._frames)))


class Incoming:
    """The reading side of one direction."""

    def __init__(self) -> None:
        self.received = 0
        self.taken = 0
        self._told = 0

    def accept(self, number: int) -> bool:
        """Whether this frame is the next one; not so are repeated ones, and those behind a gap."""
        if number != self.received:
            return False
        self.received += 1
        return True

    def take(self) -> bool:
        """The user took a frame; whether the writer should be told now."""
        self.taken += 1
        return self.taken - self._told >= WINDOW // 4

    def tell(self) -> tuple[int, int]:
        """The counts to tell."""
        self._told = self.taken
        return self.received, self.taken
