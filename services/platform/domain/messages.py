"""A log's lines as messages for a log server."""

from __future__ import annotations

from datetime import datetime

import msgspec

from .logs import _PARTIAL, _STREAM, _TAG, _TIME, LONGEST, PREFIX, STDERR, STDOUT


class Logged(msgspec.Struct, frozen=True):
    """One line, or a piece of one too long. `ordinal` numbers the pieces from 1, 0 for a whole line."""

    stream: int
    stamp: str
    """RFC 3339 in UTC with nine digits of the second, without the Z."""
    text: bytes
    ordinal: int = 0
    last: bool = True

    def time(self) -> datetime:
        """With microseconds."""
        return datetime.fromisoformat(self.stamp[:26] + "+00:00")


class Messages:
    """Turns pieces of a log file into messages."""

    def __init__(self) -> None:
        self._rest = b""
        self._pieces: dict[int, list[bytes]] = {STDOUT: [], STDERR: []}
        self._stamps: dict[int, str] = {}
        self._ordinals = {STDOUT: 0, STDERR: 0}

    @property
    def pending(self) -> int:
        """Bytes of an unfinished line at the end, of what was fed."""
        return len(self._rest)

    @property
    def between(self) -> bool:
        """Whether no line is half there: who begins here loses nothing and repeats nothing."""
        return not any(self._pieces.values()) and not any(self._ordinals.values())

    def feed(self, data: bytes) -> list[Logged]:
        """The messages that are complete with this piece."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        found = [self._line(line) for line in lines]
        return [message for message in found if message is not None]

    def _line(self, line: bytes) -> Logged | None:
        if len(line) < PREFIX:
            return None
        stream = STDERR if line[_STREAM] == ord("e") else STDOUT
        pieces, whole = self._pieces[stream], line[_TAG] != _PARTIAL
        if not pieces:
            self._stamps[stream] = line[:_TIME].decode("ascii", "replace")
        pieces.append(line[PREFIX:])
        if not whole and sum(map(len, pieces)) < LONGEST:
            return None
        return self._emit(stream, whole)

    def _emit(self, stream: int, last: bool) -> Logged:
        text = b"".join(self._pieces[stream])
        self._pieces[stream].clear()
        ordinal = self._ordinals[stream]
        if ordinal or not last:
            ordinal += 1
        self._ordinals[stream] = 0 if last else ordinal
        return Logged(stream, self._stamps[stream], text, ordinal, last)

    def flush(self) -> list[Logged]:
        """What is left of lines never ended, once no more will come: pieces without a last one, as dockerd has it."""
        return [self._emit(stream, False) for stream in (STDOUT, STDERR) if self._pieces[stream]]
