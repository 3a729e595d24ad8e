r"""Go's `path.Match`: `*` and `?` stop at slashes, `[a-z]` and `[^a-z]` are classes, `\` takes the next as it is.

Matching goes back to the last star only (none before it can help: no star crosses a slash), so that its time
is bounded by the product of the lengths, whatever the pattern.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import InvalidArgument


@dataclass(frozen=True)
class Token:
    """One character of a name; `ranges` None: any but a slash. `star`: any number of these."""

    ranges: tuple[tuple[str, str], ...] | None
    negated: bool = False
    star: bool = False

    def takes(self, char: str) -> bool:
        if self.ranges is None:
            return char != "/"
        inside = any(low <= char <= high for low, high in self.ranges)
        return inside != self.negated and (char != "/" or self.ranges == (("/", "/"),))


_ANY, _STAR = Token(None), Token(None, star=True)


def parse(pattern: str) -> tuple[Token, ...]:
    """The pattern's tokens; raises `InvalidArgument`."""
    tokens: list[Token] = []
    at = 0
    while at < len(pattern):
        if pattern[at] == "[":
            token, at = _class(pattern, at + 1)
        elif pattern[at] in "*?":
            token, at = (_STAR if pattern[at] == "*" else _ANY), at + 1
        else:
            char, at = _char(pattern, at)
            token = Token(((char, char),))
        tokens.append(token)
    return tuple(tokens)


def _char(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at : at + 1] == "\\":
        at += 1
    if at >= len(pattern):
        raise InvalidArgument("syntax error in pattern")
    return pattern[at], at + 1


def _class(pattern: str, at: int) -> tuple[Token, int]:
    negated = pattern[at : at + 1] == "^"
    at += negated
    ranges: list[tuple[str, str]] = []
    while not ranges or pattern[at : at + 1] != "]":
        if pattern[at : at + 1] in ("-", "]"):
            raise InvalidArgument("syntax error in pattern")
        low, at = _char(pattern, at)
        high = low
        if pattern[at : at + 1] == "-":
            high, at = _char(pattern, at + 1)
        ranges.append((low, high))
    return Token(tuple(ranges), negated), at + 1


def matches(tokens: tuple[Token, ...], name: str) -> bool:
    """Whether the whole name is what the pattern says."""
    token = char = 0
    star, resume = -1, 0
    while char < len(name):
        if token < len(tokens) and tokens[token].star:
            star, resume, token = token, char, token + 1
        elif token < len(tokens) and tokens[token].takes(name[char]):
            token, char = token + 1, char + 1
        elif star >= 0 and name[resume] != "/":
            resume += 1
            token, char = star + 1, resume
        else:
            return False
    return all(each.star for each in tokens[token:])
