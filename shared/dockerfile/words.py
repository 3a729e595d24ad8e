"""Words and variables of Dockerfile lines, as buildkit's `shell.Lex` has them.

`expand` gives one word, `split` the words of a text after expansion. No library knows these rules: they are a
shell's without its commands, with `${x#pattern}` and `${x/pattern/text}`, and an escape character that can be chosen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.errors import InvalidArgument

from .pattern import cut_prefix, cut_suffix, substitute
from .text import is_space, quote

_SPECIAL = "@*#?-$!0"
LONGEST = 128 << 10
"""Characters that variables put into one text: as many as the kernel takes as a variable's value (MAX_ARG_STRLEN)."""
_DEEPEST = 100
"""Substitutions inside substitutions; nobody's Dockerfile goes as deep, and the interpreter's stack is not endless."""


@dataclass(frozen=True)
class Lex:
    """How to read. `raw_quotes`, `raw_escapes`: they stay in the result; `keep_unset`: so do unknown variables.

    Without `quotes` these are characters like any other.
    """

    escape: str = "\\"
    quotes: bool = True
    raw_quotes: bool = False
    raw_escapes: bool = False
    keep_unset: bool = False

    def expand(self, text: str, variables: Mapping[str, str]) -> str:
        """The text without its quotes and escapes, its variables replaced; raises `InvalidArgument`."""
        return _Reading(self, text, variables).run()[0]

    def split(self, text: str, variables: Mapping[str, str]) -> list[str]:
        """The blank-separated words of the expanded text; what is quoted stays one."""
        return _Reading(self, text, variables).run()[1]


class SyntaxFault(Exception):
    """What is wrong, before the text it is in was named."""


@dataclass
class _Words:
    done: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Blanks end a word."""
        for char in text:
            if not is_space(char):
                self.parts.append(char)
            elif self.parts:
                self.done.append("".join(self.parts))
                self.parts = []

    def add_raw(self, text: str) -> None:
        if text:
            self.parts.append(text)

    def all(self) -> list[str]:
        return [*self.done, "".join(self.parts)] if self.parts else self.done


class _Reading:
    def __init__(self, lex: Lex, text: str, variables: Mapping[str, str]) -> None:
        self._lex, self._text, self._variables = lex, text, variables
        self._at = self._depth = self._put_in = 0
        self._raw_escapes = lex.raw_escapes

    def run(self) -> tuple[str, list[str]]:
        try:
            return self._until("", self._raw_escapes)
        except SyntaxFault as fault:
            raise InvalidArgument(f"failed to process {quote(self._text[:500])}: {fault}") from None

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _next(self) -> str:
        char = self._peek()
        self._at += 1
        return char

    def _until(self, stop: str, raw_escapes: bool) -> tuple[str, list[str]]:
        """Up to the character `stop`, which is consumed, or to the end."""
        before, self._raw_escapes = self._raw_escapes, raw_escapes
        self._depth += 1
        if self._depth > _DEEPEST:
            raise SyntaxFault("too many substitutions inside one another")
        out: list[str] = []
        words = _Words()
        try:
            while char := self._peek():
                if stop and char == stop:
                    self._at += 1
                    return "".join(out), words.all()
                out.append(self._piece(char, words))
        finally:
            self._raw_escapes = before
            self._depth -= 1
        if stop:
            raise SyntaxFault(f"unexpected end of statement while looking for matching {stop}")
        return "".join(out), words.all()

    def _piece(self, char: str, words: _Words) -> str:
        if char == "$":
            value = self._variable()
            words.add(value)
            return value
        if char == "<" or (char in "'\"" and self._lex.quotes):
            value = self._single() if char == "'" else self._double() if char == '"' else self._heredoc()
            words.add_raw(value)
            return value
        self._at += 1
        if char != self._lex.escape:
            words.add(char)
            return char
        kept = char if self._raw_escapes else ""
        if kept:
            words.add_raw(kept)
        escaped = self._next()
        if escaped:
            words.add_raw(escaped)
        return kept + escaped

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise SyntaxFault("unexpected end of statement while looking for matching single-quote")
        taken, self._at = self._text[self._at + 1 : end], end + 1
        return f"'{taken}'" if self._lex.raw_quotes else taken

    def _double(self) -> str:
        mark = '"' if self._lex.raw_quotes else ""
        self._at += 1
        out = [mark]
        while char := self._peek():
            if char == "$":
                out.append(self._variable())
                continue
            self._at += 1
            if char == '"':
                return "".join((*out, mark))
            if char == self._lex.escape:
                if self._raw_escapes:
                    out.append(char)
                if not self._peek():
                    continue
                if self._peek() in ('"', "$", self._lex.escape):
                    char = self._next()
            out.append(char)
        raise SyntaxFault("unexpected end of statement while looking for matching double-quote")

    def _heredoc(self) -> str:
        """`<<` and the blanks behind it stay with the word that follows."""
        start = self._at
        self._at += 1
        if self._peek() != "<":
            return "<"
        self._at += 1
        while self._peek() and self._peek() in "\t\r ":
            self._at += 1
        return self._text[start : self._at]

    def _variable(self) -> str:
        value = self._value()
        self._put_in += len(value)
        return _bounded(self._put_in, value)

    def _value(self) -> str:
        self._at += 1
        if self._peek() != "{":
            name = self._name()
            if not name:
                return "$"
            value = self._variables.get(name)
            return value if value is not None else f"${name}" if self._lex.keep_unset else ""
        self._at += 1
        return self._braced()

    def _name(self) -> str:
        match = _NAME.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]

    def _braced(self) -> str:
        if not self._peek():
            raise SyntaxFault("syntax error: missing '}'")
        if self._peek() in "{}:":
            raise SyntaxFault("syntax error: bad substitution")
        name = self._name()
        how = self._next()
        value = self._variables.get(name)
        if how == "}":
            return value if value is not None else f"${{{name}}}" if self._lex.keep_unset else ""
        if how == "/":
            return self._substituted(name, value)
        null_counts = how == ":"
        if null_counts:
            how = self._next()
        shown = (":" if null_counts else "") + how
        if not how or how not in "+-?#%" or (null_counts and how in "#%"):
            raise SyntaxFault(f"unsupported modifier ({shown}) in substitution")
        word = self._argument("}", how in "#%")
        if self._lex.keep_unset and value is None:
            return f"${{{name}{shown}{word}}}"
        return _modified(name, value, how, null_counts, word)

    def _argument(self, stop: str, raw_escapes: bool) -> str:
        try:
            return self._until(stop, raw_escapes)[0]
        except SyntaxFault:
            if not self._peek():
                raise SyntaxFault(f"syntax error: missing '{stop}'" + (" in ${}" if stop == "/" else "")) from None
            raise

    def _substituted(self, name: str, value: str | None) -> str:
        every = self._peek() == "/"
        if every:
            self._at += 1
        pattern, text = self._argument("/", True), self._argument("}", True)
        if self._lex.keep_unset and value is None:
            return f"${{{name}/{pattern}/{text}}}"
        _bounded(len(text) * (len(value or "") + 1))
        return _matched(pattern, lambda: substitute(value or "", pattern, text, every))


def _bounded(length: int, value: str = "") -> str:
    if length > LONGEST:
        raise SyntaxFault(f"its variables come to more than {LONGEST} characters")
    return value


def _matched(pattern: str, work: Callable[[], str]) -> str:
    try:
        return work()
    except ValueError as error:
        raise SyntaxFault(f"invalid pattern ({pattern}) in substitution: {error}") from None


def _modified(name: str, value: str | None, how: str, null_counts: bool, word: str) -> str:
    there = value is not None and not (null_counts and value == "")
    if how == "-":
        return value or "" if there else word
    if how == "+":
        return word if there else ""
    if how == "?":
        if not there:
            missing = "is not allowed to be unset" if value is None else "is not allowed to be empty"
            raise SyntaxFault(f"{name}: {word or missing}")
        return value or ""
    greedy = word.startswith(how)
    pattern = word.removeprefix(how)
    cut = cut_suffix if how == "%" else cut_prefix
    return _matched(pattern, lambda: cut(value or "", pattern, greedy))


_NAME = re.compile(rf"[0-9]+|[{re.escape(_SPECIAL)}]|\w+")
"""A number, a special parameter of the shell (none of which is ever set), or a name."""
