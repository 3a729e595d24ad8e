"""Shell patterns inside `${x#...}`, `${x%...}`, `${x/...}`: `*` and `?`, escaped by a backslash; no brackets.

All possible ends are followed at once, so that no pattern takes more than its length times the text's.
"""

from __future__ import annotations

import re

MOST_STEPS = 4_000_000
_STAR, _ANY = "*", "?"
_Token = tuple[bool, str]
"""Whether it is a wildcard, and its character."""


def cut_prefix(value: str, pattern: str, greedy: bool) -> str:
    """Without the shortest (or longest) beginning that matches; raises `ValueError`."""
    end = _match(_tokens(pattern), value, 0, greedy)
    return value if end is None else value[end:]


def cut_suffix(value: str, pattern: str, greedy: bool) -> str:
    """Without the shortest (or longest) end that matches: found from behind, as a beginning."""
    return cut_prefix(value[::-1], _reversed(pattern), greedy)[::-1]


def substitute(value: str, pattern: str, text: str, every: bool) -> str:
    """The first (or every) longest match replaced by `text`; raises `ValueError`."""
    tokens = _tokens(pattern)
    out: list[str] = []
    at, last, steps = 0, -1, 0
    while at <= len(value):
        steps += len(value) - at + 1
        if steps * (len(tokens) + 1) > MOST_STEPS:
            raise ValueError("it takes too long")
        end = _match(tokens, value, at, True)
        if end is not None and not (end == at == last):
            out.append(text)
            if not every:
                return "".join((*out, value[end:]))
            last = end
            if end > at:
                at = end
                continue
        out.append(value[at : at + 1])
        at += 1
    return "".join(out)


def _match(tokens: list[_Token], value: str, start: int, longest: bool) -> int | None:
    """Where a match that begins at `start` ends; None when there is none."""
    if (len(value) - start) * len(tokens) > MOST_STEPS:
        raise ValueError("it takes too long")
    states, found = _closed({0}, tokens), None
    for at in range(start, len(value) + 1):
        if len(tokens) in states:
            found = at
            if not longest:
                break
        if at == len(value) or not states:
            break
        states = _closed(_moved(states, tokens, value[at]), tokens)
    return found


def _moved(states: set[int], tokens: list[_Token], char: str) -> set[int]:
    after = set()
    for state in states:
        if state == len(tokens):
            continue
        wild, wanted = tokens[state]
        if wild and wanted == _STAR:
            if char != "\n":
                after.add(state)
        elif (wild and char != "\n") or (not wild and wanted == char):
            after.add(state + 1)
    return after


def _closed(states: set[int], tokens: list[_Token]) -> set[int]:
    """With what stars that match nothing lead to."""
    waiting = list(states)
    while waiting:
        state = waiting.pop()
        if state < len(tokens) and tokens[state] == (True, _STAR) and state + 1 not in states:
            states.add(state + 1)
            waiting.append(state + 1)
    return states


def _tokens(pattern: str) -> list[_Token]:
    out: list[_Token] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char != "\\":
            out.append((char in (_STAR, _ANY), char))
            continue
        escaped = pattern[at : at + 1]
        if escaped and escaped in "}/":
            continue
        if not escaped or escaped not in "*?\\":
            raise ValueError(f"invalid escape '\\{escaped}'")
        out.append((False, escaped))
        at += 1
    return out


def _reversed(pattern: str) -> str:
    """Backwards, with every escape still before what it escapes."""
    return "".join(reversed(re.findall(r"\\.|.", pattern, re.DOTALL)))
