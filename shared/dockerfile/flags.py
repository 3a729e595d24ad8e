"""The `--name=value` words of an instruction (buildkit's `BFlags`)."""

from __future__ import annotations

from collections.abc import Iterable

from shared.errors import InvalidArgument


class Flags:
    """`texts` take one value, `switches` true or false, `lists` any number of values. Nothing holds before `check`."""

    def __init__(
        self,
        words: Iterable[str],
        texts: Iterable[str] = (),
        switches: Iterable[str] = (),
        lists: Iterable[str] = (),
    ) -> None:
        self._words = tuple(words)
        self._texts, self._switches, self._lists = frozenset(texts), frozenset(switches), frozenset(lists)
        self._values: dict[str, list[str]] = {}

    def check(self) -> Flags:
        """Itself, when all words are flags that exist; raises `InvalidArgument` with Docker's text."""
        for word in self._words:
            if word == "--":
                break
            flag, equals, value = word.partition("=")
            name = flag.removeprefix("--")
            if name not in self._texts | self._switches | self._lists:
                raise InvalidArgument(f"unknown flag: {flag}")
            if name in self._values and name not in self._lists:
                raise InvalidArgument(f"duplicate flag specified: {flag}")
            self._values.setdefault(name, []).append(self._checked(name, flag, equals, value))
        return self

    def _checked(self, name: str, flag: str, equals: str, value: str) -> str:
        if name not in self._switches:
            if not equals:
                raise InvalidArgument(f"missing a value on flag: {flag}")
            return value
        if equals and not value:
            raise InvalidArgument(f"missing a value on flag: {flag}")
        if value.lower() not in ("", "true", "false"):
            raise InvalidArgument(f"expecting boolean value for flag {flag}, not: {value}")
        return value.lower() or "true"

    def text(self, name: str) -> str:
        return self._values.get(name, [""])[0]

    def switch(self, name: str) -> bool | None:
        """None: not given."""
        given = self._values.get(name)
        return None if given is None else given[0] == "true"

    def list(self, name: str) -> tuple[str, ...]:
        return tuple(self._values.get(name, ()))
