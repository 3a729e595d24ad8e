"""What templates reckon with: values as Go prints them, and the functions of text/template and of Docker's."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from .text import quote

Value: TypeAlias = str | int | bool | Sequence[str] | Mapping[str, str] | None
LONGEST_VALUE = 16 << 10
"""Characters of a text that a function takes or gives: functions of functions must not fill the memory."""
_VERB = re.compile(r"%([-+ #0]*)(\d{0,3})(?:\.(\d{0,3}))?([svdqxXt%])")


class TemplateError(ValueError):
    """A template that cannot be read or evaluated."""


def shown(value: Value) -> str:
    """As Go's fmt prints it (`%v`)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    if value is None:
        return "<no value>"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{each}" for key, each in sorted(value.items())) + "]"
    return "[" + " ".join(value) + "]"


def bounded(text: str) -> str:
    """The text, unless it is longer than any that a function may take or give."""
    if len(text) > LONGEST_VALUE:
        raise TemplateError("too much")
    return text


def true(value: Value) -> bool:
    """What `if` goes by: neither false, 0, nil nor empty."""
    return bool(value)


def formatted(form: str, *values: Value) -> str:
    """`printf`."""
    left = list(values)

    def one(match: re.Match[str]) -> str:
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        if not left:
            return f"%!{verb}(MISSING)"
        value = left.pop(0)
        text = bounded(shown(value))
        if verb in "sq" and precision is not None:
            text = text[: int(precision or 0)]
        if verb == "q":
            text = quote(text)
        elif verb in "xX":
            text = f"{value:x}" if isinstance(value, int) else text.encode().hex()
            text = text.upper() if verb == "X" else text
        elif verb == "d" and (isinstance(value, bool) or not isinstance(value, int)):
            text = f"%!d(string={text})"
        filled = text.ljust if "-" in flags else text.zfill if "0" in flags else text.rjust
        return filled(int(width or 0))

    text = bounded(_VERB.sub(one, form))
    return text + ("%!(EXTRA " + ", ".join(f"string={bounded(shown(value))}" for value in left) + ")" if left else "")


def _index(value: Value, *keys: Value) -> Value:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(str(key), "")
        elif isinstance(value, list | str) and isinstance(key, int):
            if not 0 <= key < len(value):
                raise TemplateError(f"index out of range: {key}")
            value = value[key] if isinstance(value, list) else ord(value[key])
        else:
            raise TemplateError(f"can't index item of type {type(value).__name__}")
    return value


def _slice(value: Value, *bounds: int) -> Value:
    if not isinstance(value, list | str):
        raise TemplateError(f"can't slice item of type {type(value).__name__}")
    begin, end = (*bounds, *(0, len(value))[len(bounds) :])[:2]
    if not 0 <= begin <= end <= len(value):
        raise TemplateError(f"index out of range: {end}")
    return value[begin:end]


def _both(*values: Value) -> Value:
    return next((value for value in values if not true(value)), values[-1])


def _either(*values: Value) -> Value:
    return next((value for value in values if true(value)), values[-1])


def _printed(*values: Value) -> str:
    text = ""
    for number, value in enumerate(values):
        apart = number and not isinstance(value, str) and not isinstance(values[number - 1], str)
        text = bounded(text + (" " if apart else "") + bounded(shown(value)))
    return text


def _title(text: str) -> str:
    return re.sub(r"(^|\s)(\S)", lambda match: match[1] + match[2].upper(), text)


def _pad(text: str, before: int, after: int) -> str:
    if not text:
        return text
    return " " * min(before, LONGEST_VALUE) + text + " " * min(after, LONGEST_VALUE)


def _join(texts: Sequence[str], by: str) -> str:
    if sum(map(len, texts)) + len(by) * len(texts) > LONGEST_VALUE:
        raise TemplateError("too much")
    return by.join(texts)


def _truncate(text: str, length: int) -> str:
    return text[:length]


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "and": _both,
    "or": _either,
    "not": lambda value: not true(value),
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": lambda first, other: first != other,
    "lt": lambda first, other: first < other,
    "le": lambda first, other: first <= other,
    "gt": lambda first, other: first > other,
    "ge": lambda first, other: first >= other,
    "len": len,
    "index": _index,
    "slice": _slice,
    "print": _printed,
    "printf": formatted,
    "println": lambda *values: " ".join(bounded(shown(value)) for value in values) + "\n",
    "json": lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True),
    "split": lambda text, by: text.split(by) if by else list(text),
    "join": _join,
    "lower": str.lower,
    "upper": str.upper,
    "title": _title,
    "pad": _pad,
    "truncate": _truncate,
}
