"""`.dockerignore` (moby's `patternmatcher` and `ignorefile`).

PyPI's `pathspec` has git's rules: there a name without a slash matches at any depth, here only at the root; git never
looks into a directory that is left out, here a later `!` brings back what is below it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared import glob
from shared.errors import InvalidArgument
from shared.glob import Token

LONGEST = 1 << 20
MOST = 10_000


def read(data: bytes) -> tuple[str, ...]:
    """The patterns of the file, cleaned as Docker cleans them; raises `InvalidArgument` when it is too large."""
    if len(data) > LONGEST:
        raise InvalidArgument(f"the ignore file is larger than {LONGEST} bytes")
    lines = data.removeprefix(b"\xef\xbb\xbf").decode(errors="replace").splitlines()
    return tuple(pattern for line in lines if (pattern := _cleaned(line)))


def _cleaned(line: str) -> str:
    if line.startswith("#"):
        return ""
    pattern = line.strip()
    inverted = pattern.startswith("!")
    pattern = pattern.removeprefix("!").strip() if inverted else pattern
    if pattern:
        pattern = posixpath.normpath(pattern)
        pattern = "/" + pattern.lstrip("/") if pattern.startswith("//") else pattern
        if len(pattern) > 1:
            pattern = pattern.removeprefix("/")
    return f"!{pattern}" if inverted else pattern


@dataclass(frozen=True)
class Pattern:
    """One line. `inverted`: what it matches is taken in again."""

    regex: re.Pattern[str] | None
    tokens: tuple[Token, ...]
    inverted: bool

    def matches(self, path: str) -> bool:
        """Whether it says something of the path, or of a directory that the path is in."""
        return self.regex.match(path) is not None if self.regex else _follow(self.tokens, path)


class Ignore:
    """Whether a path of the context is left out; raises `InvalidArgument` for patterns that are none."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [_pattern(each.strip()) for each in patterns if each.strip()]
        if len(self._patterns) > MOST:
            raise InvalidArgument(f"more than {MOST} patterns to ignore")

    def __bool__(self) -> bool:
        return bool(self._patterns)

    @property
    def inverted(self) -> bool:
        """Whether something below a directory that is left out may be taken in again."""
        return any(each.inverted for each in self._patterns)

    def matches(self, path: str) -> bool:
        """`path` without a leading slash. The last pattern that says something of it, or of a parent, decides."""
        matched = False
        for pattern in self._patterns:
            if pattern.inverted == matched and pattern.matches(path):
                matched = not pattern.inverted
        return matched


def _pattern(text: str) -> Pattern:
    inverted = text.startswith("!")
    text = text.removeprefix("!")
    if inverted and not text:
        raise InvalidArgument('illegal exclusion pattern: "!"')
    tokens = tuple(_tokens(text))
    wild = sum(1 for each in tokens if _deep(each) or each.star)
    return Pattern(re.compile(_regex(tokens), re.DOTALL) if wild <= FEW else None, tokens, inverted)


FOLDERS, REST = Token(None), Token((), star=True)
"""`**/`: any number of whole folders; `**` at the end: whatever follows. (Compared by identity.)"""
FEW = 3
"""So many wildcards a backtracking matcher may have: with each more its time grows by a power."""


def _deep(token: Token) -> bool:
    return token is FOLDERS or token is REST


def _tokens(text: str) -> Iterator[Token]:
    """Go's pattern with `**`; raises `InvalidArgument`."""
    for part in re.split(r"((?:(?<!\\)\*\*/?)+)", text):
        if part.startswith("**"):
            yield FOLDERS if part.endswith("/") else REST
        else:
            yield from glob.parse(part)


def _regex(tokens: tuple[Token, ...]) -> str:
    return "".join(_piece(token, number + 1 == len(tokens)) for number, token in enumerate(tokens)) + r"(?:/|\Z)"


def _piece(token: Token, last: bool) -> str:
    if _deep(token):
        return ".*" if last else "(?:.*/)?"
    if token.star:
        return "[^/]*"
    if token.ranges is None:
        return "[^/]"
    if len(token.ranges) == 1 and token.ranges[0][0] == token.ranges[0][1] and not token.negated:
        return re.escape(token.ranges[0][0])
    inside = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in token.ranges if low <= high)
    return f"[{'^' if token.negated else ''}{inside}]" if inside else ("." if token.negated else r"(?!)")


def _follow(tokens: tuple[Token, ...], path: str) -> bool:
    """All ways at once. A state is the token to come; below zero: inside the folders of token `-1 - state`."""
    states = _reached({0}, tokens)
    for char in path:
        if char == "/" and _done(states, tokens):
            return True
        after: set[int] = set()
        for state in states:
            after |= _after(state, tokens, char)
        states = _reached(after, tokens)
    return _done(states, tokens)


def _done(states: set[int], tokens: tuple[Token, ...]) -> bool:
    return len(tokens) in states or -len(tokens) in states


def _after(state: int, tokens: tuple[Token, ...], char: str) -> set[int]:
    if state < 0:
        return {state, -state} if char == "/" else {state}
    if state == len(tokens) or _deep(tokens[state]):
        return set()
    token = tokens[state]
    if token.star:
        return {state} if char != "/" else set()
    return {state + 1} if token.takes(char) else set()


def _reached(states: set[int], tokens: tuple[Token, ...]) -> set[int]:
    waiting = list(states)
    while waiting:
        state = waiting.pop()
        if not 0 <= state < len(tokens):
            continue
        token, more = tokens[state], {state}
        if _deep(token):
            more = {state + 1, -1 - state}
        elif token.star:
            more = {state + 1}
        waiting += more - states
        states |= more
    return states
