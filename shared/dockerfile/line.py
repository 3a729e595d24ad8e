"""One logical line of a Dockerfile: command, flags, arguments (buildkit's `line_parsers`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from shared.errors import InvalidArgument

from .text import is_space, quote, strip, strip_left

_BLANKS = re.compile(r"[\t\v\f\r ]+")


@dataclass(frozen=True)
class Line:
    """See `parser.Node`, which it becomes."""

    command: str
    args: tuple[str, ...]
    flags: tuple[str, ...]
    json: bool


def split_line(text: str, escape: str) -> Line:
    """Raises `InvalidArgument`."""
    command, _, rest = _cut_blanks(strip(text))
    flags, rest = _flags(rest, escape)
    args, exact = _ARGUMENTS.get(command.lower(), _ignored)(strip(rest), escape)
    return Line(command, args, flags, exact)


def _cut_blanks(text: str) -> tuple[str, str, str]:
    match = _BLANKS.search(text)
    return (text[: match.start()], match[0], text[match.end() :]) if match else (text, "", "")


def _flags(text: str, escape: str) -> tuple[tuple[str, ...], str]:
    """The words that begin with `--`, unquoted, and what follows them."""
    flags: list[str] = []
    at = 0
    while True:
        while at < len(text) and is_space(text[at]):
            at += 1
        if text[at : at + 2] != "--":
            return tuple(flags), text[at:]
        word, quoted, at = _flag(text, at, escape)
        if word == "--":
            return tuple(flags), text[at:]
        if word or quoted:
            flags.append(word)


def _flag(text: str, at: int, escape: str) -> tuple[str, bool, int]:
    out, mark, quoted = "", "", False
    while at < len(text):
        char = text[at]
        if not mark and is_space(char):
            break
        at += 1
        if char == mark:
            mark = ""
        elif not mark and char in "'\"":
            mark, quoted = char, True
        elif char == escape:
            out += text[at : at + 1]
            at += 1
        else:
            out += char
    return out, quoted, min(at, len(text))


_Arguments = tuple[tuple[str, ...], bool]
_Reader = Callable[[str, str], _Arguments]


def _ignored(text: str, escape: str) -> _Arguments:
    return ("",), False


def _whole(text: str, escape: str) -> _Arguments:
    return ((text,) if text else ()), False


def _blanks(text: str, escape: str) -> _Arguments:
    return (tuple(_BLANKS.split(text)) if text else ()), False


def json_list(text: str) -> tuple[str, ...] | None:
    """A JSON list of strings; None for anything else, but `InvalidArgument` for a list of other things than strings."""
    if not text.startswith("["):
        return None
    try:
        values = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not all(isinstance(each, str) for each in values):
        raise InvalidArgument("when using JSON array syntax, arrays must be comprised of strings only")
    return tuple(values)


def _maybe_json(text: str, escape: str) -> _Arguments:
    exact = json_list(text) if text else None
    return (exact, True) if exact is not None else _whole(text, escape)


def _maybe_json_list(text: str, escape: str) -> _Arguments:
    exact = json_list(text)
    return (exact, True) if exact is not None else _blanks(text, escape)


def _healthcheck(text: str, escape: str) -> _Arguments:
    kind, _, rest = _cut_space(text)
    if not kind:
        return (), False
    args, exact = _maybe_json(rest, escape)
    return (kind, *args), exact


def _cut_space(text: str) -> tuple[str, str, str]:
    for at, char in enumerate(text):
        if is_space(char):
            rest = strip_left(text[at:])
            return text[:at], text[at : len(text) - len(rest)], rest
    return text, "", ""


def _trigger(text: str, escape: str) -> _Arguments:
    if not text:
        return (), False
    inner = split_line(text, escape)
    return (inner.command, *inner.args), inner.json


def _names(text: str, escape: str) -> _Arguments:
    return tuple(quoted_words(text, escape)), False


def _pairs(command: str) -> _Reader:
    def read(text: str, escape: str) -> _Arguments:
        words = quoted_words(text, escape)
        if not words:
            return (), False
        if "=" not in words[0]:
            name, blank, value = _cut_blanks(text)
            if not blank:
                raise InvalidArgument(f"{command} must have two arguments")
            return (name, value, ""), False
        threes: list[str] = []
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                raise InvalidArgument(f"Syntax error - can't find = in {quote(word)}. Must be of the form: name=value")
            threes += (name, value, "=")
        return tuple(threes), False

    return read


def quoted_words(text: str, escape: str) -> list[str]:
    """Blank-separated words; quotes hold words together and stay in them."""
    words: list[str] = []
    at = 0
    while at < len(text):
        if is_space(text[at]):
            at += 1
            continue
        word, quoted, at = _quoted_word(text, at, escape)
        if word or quoted:
            words.append(word)
    return words


def _quoted_word(text: str, at: int, escape: str) -> tuple[str, bool, int]:
    out, mark, quoted = "", "", False
    while at < len(text):
        char = text[at]
        if not mark and is_space(char):
            break
        at += 1
        if char == escape and mark != "'":
            if at == len(text):
                break  # an escape character at the end is dropped
            char, at = char + text[at], at + 1
        elif char == mark:
            mark = ""
        elif not mark and char in "'\"":
            mark, quoted = char, True
        out += char
    return out, quoted, at


_ARGUMENTS: Mapping[str, _Reader] = {
    "add": _maybe_json_list,
    "arg": _names,
    "cmd": _maybe_json,
    "copy": _maybe_json_list,
    "entrypoint": _maybe_json,
    "env": _pairs("ENV"),
    "expose": _blanks,
    "from": _blanks,
    "healthcheck": _healthcheck,
    "label": _pairs("LABEL"),
    "maintainer": _whole,
    "onbuild": _trigger,
    "run": _maybe_json,
    "shell": _maybe_json,
    "stopsignal": _whole,
    "user": _whole,
    "volume": _maybe_json_list,
    "workdir": _whole,
}
