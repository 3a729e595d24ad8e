"""Go's notions of text that Dockerfiles are read and shown by: blanks, `%q`, `%v` of lists."""

from __future__ import annotations

from collections.abc import Iterable

_NO_BLANKS = "\x1c\x1d\x1e\x1f"
_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
            '"': '\\"', "\\": "\\\\"}  # fmt: skip


def is_space(char: str) -> bool:
    """Go's `unicode.IsSpace`: Python counts four separators more."""
    return char.isspace() and char not in _NO_BLANKS


def strip(text: str) -> str:
    """Go's `strings.TrimSpace`."""
    return strip_left(text)[: _end(text)] if text else text


def strip_left(text: str) -> str:
    """Go's `strings.TrimLeftFunc(unicode.IsSpace)`."""
    start = 0
    while start < len(text) and is_space(text[start]):
        start += 1
    return text[start:]


def _end(text: str) -> int | None:
    blanks = 0
    while blanks < len(text) and is_space(text[len(text) - 1 - blanks]):
        blanks += 1
    return -blanks if blanks else None


def quote(text: str) -> str:
    """Go's `%q`: in double quotes, what cannot be printed escaped."""
    return '"' + "".join(_quoted(char) for char in text) + '"'


def _quoted(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quoted_list(words: Iterable[str] | None) -> str:
    """Go's `%q` of a list."""
    return "[" + " ".join(quote(word) for word in words or ()) + "]"


def plain_list(words: Iterable[str] | None) -> str:
    """Go's `%v` of a list."""
    return "[" + " ".join(words or ()) + "]"
