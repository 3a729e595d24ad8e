"""Dockerfiles as lines of instructions: directives, continuation, comments, heredocs (buildkit's `parser`).

PyPI has Docker's own parser compiled (`dockerfile`, a wheel for all Pythons from 3.9). It is not used to serve: it
brings Go's runtime into the process (4.6 MB, four threads, signal handlers), and tells neither the escape character
nor whether a heredoc is quoted. The tests compare this module with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from shared.errors import InvalidArgument

from .line import split_line
from .text import strip_left
from .words import Lex

LONGEST_LINE = 65535
LONGEST_FILE = 4 << 20
MOST_INSTRUCTIONS = 10_000
_DIRECTIVE = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$", re.DOTALL)
_DIRECTIVES = frozenset(("syntax", "escape", "check"))
_HEREDOC = re.compile(r"(\d*)<<(-?)\s*([^<]*)\Z", re.DOTALL)
_TABS = re.compile(r"^\t+", re.MULTILINE)
_WITH_HEREDOC = frozenset(("add", "copy", "run"))


@dataclass(frozen=True)
class Heredoc:
    """`expand`: variables in it are replaced (its name was not quoted); `chomp`: leading tabs are taken off (`<<-`)."""

    name: str
    expand: bool = True
    chomp: bool = False
    content: str = ""

    @property
    def text(self) -> str:
        return _TABS.sub("", self.content) if self.chomp else self.content


@dataclass(frozen=True)
class Node:
    """One instruction as written. `args` of ENV and LABEL are threes: name, value, separator; ONBUILD's are its
    trigger's, after its name. `json`: they came as a JSON list.
    """

    command: str
    args: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    json: bool = False
    original: str = ""
    line: int = 0
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True)
class Parsed:
    """A whole file. `warnings` are lines to show."""

    nodes: tuple[Node, ...]
    escape: str = "\\"
    warnings: tuple[str, ...] = ()


def parse(data: bytes) -> Parsed:
    """All instructions of a Dockerfile; raises `InvalidArgument` with Docker's text."""
    if len(data) > LONGEST_FILE:
        raise InvalidArgument(f"the Dockerfile is larger than {LONGEST_FILE} bytes")
    return _Parser(data.removeprefix(b"\xef\xbb\xbf").decode(errors="replace")).run()


def parse_heredoc(word: str) -> Heredoc | None:
    """The heredoc that a word like `<<-"EOF"` begins; None for any other word."""
    match = _HEREDOC.match(word)
    if match is None or not match[3]:
        return None
    plain = Lex(keep_unset=True).split(match[3], {})
    if len(plain) != 1:
        return None
    raw = Lex(keep_unset=True, raw_quotes=True).split(match[3], {})
    if len(raw) != 1:
        raise InvalidArgument(f"internal lexing of heredoc produced inconsistent results: {match[3]}")
    return Heredoc(plain[0], expand=_quotes(plain[0]) == _quotes(raw[0]), chomp=match[2] == "-")


def _quotes(word: str) -> int:
    return word.count("'") + word.count('"')


@dataclass
class _Directives:
    escape: str = "\\"
    seen: set[str] = field(default_factory=set)
    done: bool = False

    def read(self, line: str) -> None:
        """Directives stand before everything else; raises `InvalidArgument`."""
        if self.done:
            return
        match = _DIRECTIVE.match(strip_left(line[1:])) if line.startswith("#") else None
        name = match[1].lower() if match else ""
        if match is None or name not in _DIRECTIVES:
            self.done = True
            return
        if name in self.seen:
            raise InvalidArgument(f"only one {name} parser directive can be used")
        self.seen.add(name)
        if name == "escape":
            if match[2] not in ("\\", "`"):
                raise InvalidArgument(f"invalid escape token '{match[2]}' does not match ` or \\")
            self.escape = match[2]

    def continued(self, line: str) -> tuple[str, bool]:
        """The line without the escape character that ends it, and whether there was one."""
        stripped = line.rstrip("\t ")
        if not stripped.endswith(self.escape) or stripped.endswith(self.escape * 2):
            return line, False
        return stripped[:-1], True


class _Parser:
    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        if self._lines[-1] == "":
            self._lines.pop()
        self._at = 0
        self._directives = _Directives()
        self._warnings: list[str] = []

    def run(self) -> Parsed:
        nodes = []
        while self._at < len(self._lines):
            node = self._instruction()
            if node is not None:
                nodes.append(node)
            if len(nodes) > MOST_INSTRUCTIONS:
                raise InvalidArgument(f"the Dockerfile has more than {MOST_INSTRUCTIONS} instructions")
        if not nodes:
            raise InvalidArgument("file with no instructions")
        warnings = tuple(self._warnings)
        if warnings:
            warnings += ("[WARNING]: Empty continuation lines will become errors in a future release.\n",)
        return Parsed(tuple(nodes), self._directives.escape, warnings)

    def _next(self) -> str:
        line = self._lines[self._at]
        self._at += 1
        if len(line.encode()) >= LONGEST_LINE:
            raise InvalidArgument(f"dockerfile line greater than max allowed size of {LONGEST_LINE}")
        return line

    def _instruction(self) -> Node | None:
        """The next line with those that continue it; None for a comment or an empty line."""
        line = strip_left(self._next().rstrip("\r"))
        self._directives.read(line)
        if line.startswith("#"):
            line = ""
        begin = self._at
        text, more = self._directives.continued(line)
        if not more and not text:
            return None
        text += self._continuation(text) if more else ""
        node = read_line(text, self._directives.escape, begin)
        return self._with_heredocs(node, text)

    def _continuation(self, begin: str) -> str:
        out: list[str] = []
        empty, more = False, True
        while more and self._at < len(self._lines):
            line = self._next().rstrip("\r")
            self._directives.read(line)
            if strip_left(line).startswith("#"):
                continue
            if not strip_left(line):
                empty = True
                continue
            line, more = self._directives.continued(line)
            out.append(line)
        text = "".join(out)
        if empty:
            self._warnings.append(f"[WARNING]: Empty continuation line found in: {begin}{text}\n")
        return text

    def _with_heredocs(self, node: Node, text: str) -> Node:
        if "<<" not in text or not _may_hold(node):
            return node
        found = []
        for word in _split(text):
            heredoc = parse_heredoc(word)
            if heredoc is not None:
                found.append(Heredoc(heredoc.name, heredoc.expand, heredoc.chomp, self._content(heredoc)))
        return Node(node.command, node.args, node.flags, node.json, node.original, node.line, tuple(found))

    def _content(self, heredoc: Heredoc) -> str:
        out: list[str] = []
        while self._at < len(self._lines):
            line = self._next()
            end = line.rstrip("\r")
            if (end.lstrip("\t") if heredoc.chomp else end) == heredoc.name:
                return "".join(out)
            out.append(line + "\n")
        raise InvalidArgument("unterminated heredoc")


def _split(text: str) -> list[str]:
    try:
        return Lex(raw_quotes=True, raw_escapes=True, keep_unset=True).split(text, {})
    except InvalidArgument:
        return []  # no heredoc then; who expands the line tells what is wrong with it


def _may_hold(node: Node) -> bool:
    command = node.command.lower()
    if command == "onbuild" and node.args:
        command = node.args[0].lower()
    return command in _WITH_HEREDOC and not node.json


def read_line(text: str, escape: str, line: int = 0) -> Node:
    """One logical line as an instruction; raises `InvalidArgument`."""
    read = split_line(text, escape)
    return Node(read.command, read.args, read.flags, read.json, text, line)
