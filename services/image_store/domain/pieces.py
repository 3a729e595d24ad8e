"""Which piece of a blob is asked for next, when several have it. Pure; the bytes that wait are bounded."""

from __future__ import annotations

from typing import NamedTuple


class Piece(NamedTuple):
    """Bytes of a blob."""

    offset: int
    length: int


class Pieces:
    """A blob of `size` bytes from `begin` on. Pieces may come in any order and are given out again in theirs.

    Nobody is sent further ahead of what has been given out than `ahead` pieces. Who would have nothing to do is sent
    for the oldest piece that others were sent for: one of them may be slow, or gone.
    """

    def __init__(self, begin: int, size: int, length: int, ahead: int) -> None:
        self._written, self._next, self._size = begin, begin, size
        self._length, self._ahead = length, ahead * length
        self._asked: dict[int, set[str]] = {}
        self._waiting: dict[int, bytes] = {}

    @property
    def done(self) -> bool:
        return self._written >= self._size

    def _piece(self, offset: int) -> Piece:
        return Piece(offset, min(self._length, self._size - offset))

    def take(self, who: str) -> Piece | None:
        """What `who` is to ask for; None: nothing for now."""
        given_back = sorted(offset for offset, asked in self._asked.items() if not asked)
        if given_back:
            offset = given_back[0]
        elif self._next < min(self._size, self._written + self._ahead):
            offset, self._next = self._next, self._next + self._length
        else:
            offset = min((each for each, asked in self._asked.items() if who not in asked), default=-1)
        if offset < 0:
            return None
        self._asked.setdefault(offset, set()).add(who)
        return self._piece(offset)

    def give_back(self, who: str) -> None:
        """`who` gives nothing any more."""
        for asked in self._asked.values():
            asked.discard(who)

    def came(self, offset: int, data: bytes) -> list[bytes]:
        """What can be written now, in order; a piece that came twice counts once.

        Raises `ValueError` for one of another length than was asked for.
        """
        if offset not in self._asked:
            return []
        if len(data) != self._piece(offset).length:
            raise ValueError(f"a piece of {len(data)} bytes at {offset}")
        del self._asked[offset]
        self._waiting[offset] = data
        ready = []
        while (piece := self._waiting.pop(self._written, None)) is not None:
            ready.append(piece)
            self._written += len(piece)
        return ready
