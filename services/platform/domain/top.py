"""The process list of a workload, out of ps(1)'s output for the whole host."""

from __future__ import annotations

import re
from collections.abc import Collection

from shared.errors import Internal, InvalidArgument

_RENAMED = re.compile(r"\s+([^\s]*)=\s*(PID[^\s]*)")
_BLANKS = re.compile(r"[ \t\n\f\r]+")


def check_arguments(text: str) -> list[str]:
    """ps's arguments as words. `InvalidArgument` where another column is to be called PID."""
    for name, header in _RENAMED.findall(text):
        if name != "pid":
            raise InvalidArgument(f'specifying "{name}={header}" is not allowed')
    return [word for word in _BLANKS.split(text) if word] or ["-ef"]


def select(output: str, pids: Collection[int]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Titles and the rows of these processes, with their threads' rows (`-`) below. The last column may hold blanks."""
    lines = output.splitlines()
    titles = _fields(lines[0]) if lines else []
    if "PID" not in titles:
        raise InvalidArgument("Couldn't find PID field in ps output")
    column, rows, inside = titles.index("PID"), [], False
    for line in filter(str.strip, lines[1:]):
        fields = _fields(line)
        if len(fields) <= column:
            continue
        if fields[column] != "-":
            if not fields[column].isdigit():
                raise Internal(f"Unexpected pid '{fields[column]}'")
            inside = int(fields[column]) in pids
        if inside:
            rows.append((*fields[: len(titles) - 1], " ".join(fields[len(titles) - 1 :])))
    return tuple(titles), tuple(rows)


def _fields(line: str) -> list[str]:
    return [field for field in _BLANKS.split(line) if field]
