"""The lines a build shows (Docker's classic builder), and the order in which stages that run at once show theirs."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

SHORT = 12


def stream(text: str) -> bytes:
    """Text for the terminal."""
    return _line({"stream": text})


def aux(image_id: str) -> bytes:
    """A finished stage's image, for programs."""
    return _line({"aux": {"ID": image_id}})


def error(message: str, code: int = 0) -> bytes:
    """The last line of a build that failed; `code` is a process's exit code."""
    detail = {"code": code, "message": message} if code else {"message": message}
    return _line({"errorDetail": detail, "error": message})


def _line(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\r\n"


def short(identifier: str) -> str:
    """As people see it."""
    return identifier.partition(":")[2][:SHORT] if ":" in identifier else identifier[:SHORT]


class Console:
    """What the stages show, each after all before it: the first unfinished one is shown live, later ones wait.

    `most`: bytes that wait; a stage that says more goes on silently.
    """

    def __init__(self, stages: int, show: Callable[[bytes], None], most: int = 4 << 20) -> None:
        self._waiting: list[list[bytes]] = [[] for _ in range(stages)]
        self._full = [False] * stages
        self._done = [False] * stages
        self._show, self._most, self._held = show, most, 0
        self._live = 0

    def write(self, stage: int, line: bytes) -> None:
        if stage == self._live:
            self._show(line)
        elif not self._full[stage]:
            self._full[stage] = self._held + len(line) > self._most
            self._held += len(line)
            self._waiting[stage].append(stream("(more output was not kept)\n") if self._full[stage] else line)

    def finish(self, stage: int) -> None:
        """The stage says nothing more."""
        self._done[stage] = True
        while self._live < len(self._done) and self._done[self._live]:
            self._live += 1
            if self._live < len(self._done):
                for line in self._waiting[self._live]:
                    self._show(line)
                self._held -= sum(map(len, self._waiting[self._live]))
                self._waiting[self._live] = []

    def flush(self, stage: int) -> None:
        """Shows what a stage that failed has said, whatever stands before it."""
        if stage > self._live:
            for line in self._waiting[stage]:
                self._show(line)
