"""Query parameters by Docker's rules."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from shared.errors import InvalidArgument

_FALSE = frozenset(("", "0", "no", "false", "none"))
_GO_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_GO_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2}).{0,2}")
_INT64 = 1 << 63


class Query:
    """The parameters of one request; parsed when first asked for."""

    __slots__ = ("_text", "_values")

    def __init__(self, text: str) -> None:
        self._text = text
        self._values: dict[str, list[str]] | None = None if text else {}

    def _parsed(self) -> dict[str, list[str]]:
        if self._values is None:
            bad = _ESCAPE.search(self._text)
            if bad is not None:
                raise InvalidArgument(f'invalid URL escape "{bad[0]}"')
            try:
                self._values = parse_qs(self._text, keep_blank_values=True, max_num_fields=1000)
            except ValueError:
                raise InvalidArgument("invalid query: more than 1000 parameters") from None
        return self._values

    def __contains__(self, name: str) -> bool:
        return name in self._parsed()

    def get(self, name: str, default: str = "") -> str:
        """The first value, or the default."""
        values = self._parsed().get(name)
        return values[0] if values else default

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(self._parsed().get(name, ()))

    def flag(self, name: str, default: bool = False) -> bool:
        """Docker's booleans: anything but empty, 0, no, false and none is true."""
        values = self._parsed().get(name)
        return default if values is None else values[0].strip().lower() not in _FALSE

    def strict_flag(self, name: str) -> bool:
        """A boolean in Go's words only, false when absent or empty. Raises `InvalidArgument` naming the field."""
        text = self.get(name)
        if text and text not in _GO_TRUE | _GO_FALSE:
            raise InvalidArgument(
                f'invalid value for {name}: {text[:100]}: strconv.ParseBool: parsing "{text[:100]}": invalid syntax'
            )
        return text in _GO_TRUE

    def integer(self, name: str, default: int | None = None) -> int | None:
        """A 64-bit integer; the default when absent or empty. Raises `InvalidArgument` naming the field."""
        text = self.get(name)
        return default if text == "" else parse_integer(name, text)

    def size(self, name: str, what: str) -> int:
        """A required unsigned 32-bit number, such as a terminal's height."""
        text = self.get(name)
        if not text.isascii() or not text.isdigit():
            raise InvalidArgument(f'invalid {what} "{text}": invalid syntax')
        if int(text[:11]) >= 1 << 32:
            raise InvalidArgument(f'invalid {what} "{text}": value out of range')
        return int(text)


def parse_integer(name: str, text: str) -> int:
    """A decimal 64-bit integer, refused in Go's words with the field's name."""
    if not _INTEGER.match(text):
        raise InvalidArgument(f'invalid value for {name}: strconv.Atoi: parsing "{text[:100]}": invalid syntax')
    number = int(text[:40])
    if len(text) > 40 or not -_INT64 <= number < _INT64:
        raise InvalidArgument(f'invalid value for {name}: strconv.Atoi: parsing "{text[:100]}": value out of range')
    return number
