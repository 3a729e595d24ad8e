r"""Reading a workload's log: the monitor's lines to what a Docker client gets.

A line is `2006-01-02T15:04:05.000000000+00:00 stdout F text\n` (Kubernetes' container log format; the monitor runs
in UTC, so that all before the text has a fixed width). `P` in place of `F`: the text was not ended by a newline;
its rest comes in a later line of the same stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import quote_plus

import msgspec

from shared.streams.frames import FRAME_HEADER

PREFIX = 45
"""Width of what stands before the text: 35 time, blank, 6 stream, blank, 1 tag, blank."""
_TIME = 29
_STREAM = 39
_TAG = 43
_PARTIAL = ord("P")
_ERROR = ord("e")  # the fourth letter of "stderr"
LONGEST = 16 << 10
"""A line longer than this is given out in pieces, as dockerd does."""
STDOUT, STDERR = 1, 2
_HEADERS = tuple(tuple(FRAME_HEADER.pack(kind, length) for length in range(4096)) for kind in (STDOUT, STDERR))


class Selection(msgspec.Struct, frozen=True):
    """What of a log is wanted; times in nanoseconds since the epoch, 0: open."""

    stdout: bool = True
    stderr: bool = True
    since: int = 0
    until: int = 0
    timestamps: bool = False
    framed: bool = True
    details: bytes | None = None
    """What stands before each line, without its blank; None: nothing."""


def stamp(nanoseconds: int) -> bytes:
    """A time as it stands in the log, without the offset: such texts compare as the times do."""
    seconds, fraction = divmod(max(nanoseconds, 0), 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}".encode()


def details(attributes: Mapping[str, str]) -> bytes:
    """What `docker logs --details` puts before a line: names and values in the form of a query, sorted by name."""
    return ",".join(f"{quote_plus(name)}={quote_plus(attributes[name])}" for name in sorted(attributes)).encode()


class Decoder:
    """Turns pieces of the log file, however cut, into the client's bytes: one frame for each line."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._since = stamp(selection.since) if selection.since else b""
        self._until = stamp(selection.until) if selection.until else b""
        self._rest = b""
        self._partial: dict[int, list[bytes]] = {STDOUT: [], STDERR: []}
        self._partial_time: dict[int, bytes] = {}
        self._plain = (
            selection.stdout
            and selection.stderr
            and selection.details is None
            and not (selection.since or selection.until or selection.timestamps)
        )
        self.finished = False
        """A line after `until` was met: nothing more will come."""

    def feed(self, data: bytes) -> bytes:
        """The output for the lines that are complete with this piece."""
        lines = (self._rest + data if self._rest else data).split(b"\n")
        self._rest = lines.pop()
        if self._plain and self._selection.framed:
            return b"".join(self._fast(lines))
        return b"".join(self._careful(lines))

    def flush(self) -> bytes:
        """The output for unfinished lines, once no more will come."""
        parts: list[bytes] = []
        for kind in (STDOUT, STDERR):
            if self._partial[kind]:
                parts += self._emit(kind, self._partial_time[kind], b"")
        return b"".join(parts)

    def _fast(self, lines: list[bytes]) -> Iterator[bytes]:
        """All lines of both streams: the common case, with as little work for each line as can be."""
        out_headers, error_headers = _HEADERS
        pending = self._partial
        for line in lines:
            length = len(line) - PREFIX + 1
            kind_letter = line[_STREAM] if length > 0 else 0
            headers = error_headers if kind_letter == _ERROR else out_headers
            kind = STDERR if kind_letter == _ERROR else STDOUT
            if length <= 0 or length >= 4096 or line[_TAG] == _PARTIAL or pending[kind]:
                yield from self._line(line)
                continue
            yield headers[length]
            yield line[PREFIX:]
            yield b"\n"

    def _careful(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        for line in lines:
            yield from self._line(line)

    def _line(self, line: bytes) -> Iterable[bytes]:
        """One line of the file; damaged ones (shorter than their prefix) are passed over."""
        if len(line) < PREFIX or self.finished:
            return ()
        kind = STDERR if line[_STREAM] == _ERROR else STDOUT
        if not (self._selection.stderr if kind == STDERR else self._selection.stdout):
            return ()
        time = line[:_TIME]
        if self._until and time > self._until:
            self.finished = True
            return ()
        if time < self._since:
            return ()
        text = line[PREFIX:]
        if line[_TAG] != _PARTIAL:
            return self._emit(kind, time, text + b"\n")
        pieces = self._partial[kind]
        if not pieces:
            self._partial_time[kind] = time
        pieces.append(text)
        return self._emit(kind, time, b"") if sum(map(len, pieces)) >= LONGEST else ()

    def _emit(self, kind: int, time: bytes, text: bytes) -> list[bytes]:
        """One message: what was pending of the stream, and `text`."""
        pieces = self._partial[kind]
        if pieces:
            text, time = b"".join(pieces) + text, self._partial_time[kind]
            pieces.clear()
        if self._selection.details is not None:
            text = self._selection.details + b" " + text
        if self._selection.timestamps:
            text = time + b"Z " + text
        return [FRAME_HEADER.pack(kind, len(text)), text] if self._selection.framed else [text]


def tail_start(data: bytes, messages: int) -> int | None:
    """Where the last `messages` begin in the end of a file; None when `data` does not reach back so far.

    `data` consists of whole lines. Pieces of one line count as one message, an unfinished one at the end too.
    """
    begin, count, last = len(data), 0, True
    while begin > 0:
        start = data.rfind(b"\n", 0, begin - 1) + 1
        piece = begin - start > PREFIX and data[start + _TAG] == _PARTIAL
        if last or not piece:
            if count == messages:
                return begin
            count += 1
        begin, last = start, False
    return None


def count(data: bytes) -> int:
    """How many messages whole lines make: pieces of one line are one, an unfinished one at the end too."""
    messages, at, last = 0, 0, False
    while at < len(data):
        end = data.find(b"\n", at) + 1
        last = end - at > PREFIX and data[at + _TAG] == _PARTIAL
        messages += not last
        at = end
    return messages + last
