"""Words and variables of Dockerfile lines (buildkit's `parser` and `shell` packages)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shared.errors import InvalidArgument

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#]")


def split(text: str) -> list[str]:
    """The blank-separated words; quotes hold words together and stay in them."""
    words: list[str] = []
    word, quote, started, at = "", "", False, 0
    while at < len(text):
        char = text[at]
        at += 1
        if not quote and char.isspace():
            if started:
                words.append(word)
            word, started = "", False
            continue
        started = True
        if char == "\\" and quote != "'" and at < len(text):
            char, at = char + text[at], at + 1
        elif char == quote:
            quote = ""
        elif char in "'\"" and not quote:
            quote = char
        word += char
    return [*words, word] if started else words


def expand(word: str, variables: Mapping[str, str]) -> str:
    """The word without its quotes and escapes, its variables replaced; raises `InvalidArgument`."""
    return _Expansion(word, variables).run("")


def expand_words(text: str, variables: Mapping[str, str]) -> list[str]:
    """All words of a line, expanded."""
    return [expand(word, variables) for word in split(text)]


class _Expansion:
    def __init__(self, text: str, variables: Mapping[str, str]) -> None:
        self._text, self._variables, self._at = text, variables, 0

    def run(self, stop: str) -> str:
        """Expands up to the character `stop`, which is consumed, or the end."""
        out = ""
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == stop:
                self._at += 1
                return out
            out += self._piece(char)
        if stop:
            raise InvalidArgument(f"syntax error: missing {stop!r} in {self._text[:100]!r}")
        return out

    def _piece(self, char: str) -> str:
        if char == "'":
            return self._single()
        if char == '"':
            return self._double()
        if char == "$":
            return self._variable()
        self._at += 1
        if char == "\\" and self._at < len(self._text):
            self._at += 1
            return self._text[self._at - 1]
        return "" if char == "\\" else char

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise InvalidArgument(f"unexpected end of statement while looking for matching single-quote: {self._text}")
        taken, self._at = self._text[self._at + 1 : end], end + 1
        return taken

    def _double(self) -> str:
        self._at += 1
        out = ""
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == '"':
                self._at += 1
                return out
            if char == "$":
                out += self._variable()
                continue
            follows = self._text[self._at + 1 : self._at + 2]
            if char == "\\" and follows and follows in '"$\\':
                self._at, char = self._at + 1, follows
            out, self._at = out + char, self._at + 1
        raise InvalidArgument(f"unexpected end of statement while looking for matching double-quote: {self._text}")

    def _variable(self) -> str:
        self._at += 1
        if self._text[self._at : self._at + 1] == "{":
            self._at += 1
            return self._braced()
        match = _NAME.match(self._text, self._at)
        if match is None:
            return "$"
        self._at = match.end()
        return self._variables.get(match[0], "")

    def _braced(self) -> str:
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise InvalidArgument(f"syntax error: bad substitution in {self._text[:100]!r}")
        self._at = match.end()
        value = self._variables.get(match[0])
        rest = self._text[self._at : self._at + 2]
        if rest[:1] == "}":
            self._at += 1
            return value or ""
        how = rest[:1] if rest[:1] in "-+?" else rest
        if how not in ("-", "+", "?", ":-", ":+", ":?"):
            raise InvalidArgument(f"unsupported modifier ({rest}) in substitution")
        self._at += len(how)
        word = self.run("}")
        there = bool(value) if how[0] == ":" else value is not None
        if how[-1] == "+":
            return word if there else ""
        if how[-1] == "?" and not there:
            raise InvalidArgument(f"{match[0]}: {word or 'not allowed to be unset'}")
        return (value or "") if there else word
