"""Which operation a method and a path mean. Names in paths may hold slashes, so routes match from both ends."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from shared.errors import NotFound

from .message import Request, Response

Operation = Callable[[Any, Request], Awaitable[Response | None]]


@dataclass(frozen=True)
class Route:
    """One operation: `template` has `{name}` where a parameter is; `name` is the span's and swagger's operation id."""

    method: str
    template: str
    handler: Operation
    name: str
    traced: bool = True

    @property
    def span(self) -> str:
        """Name of the span of a request: never with ids."""
        return f"{self.method} {self.template}"

    def pattern(self) -> re.Pattern[str]:
        """A parameter takes any text, slashes included (image names), except one at the end of a longer route."""
        parts = re.split(r"\{(\w+)\}", self.template)
        text = "".join(f"(?P<{part}>.+)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
        return re.compile(text + r"\Z", re.DOTALL)


class Router:
    """Finds routes: whole paths by one look-up, the rest by first and last segment."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._whole: dict[tuple[str, str], Route] = {}
        self._parts: dict[tuple[str, str, str], list[tuple[re.Pattern[str], Route]]] = {}
        for route in routes:
            if "{" not in route.template:
                self._whole[route.method, route.template] = route
                continue
            key = (route.method, *_ends(route.template))
            self._parts.setdefault(key, []).append((route.pattern(), route))
        for found in self._parts.values():
            found.sort(key=lambda pair: -len(pair[1].template))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route and its parameters; raises `NotFound` in Docker's words, also for a wrong method."""
        whole = self._whole.get((method, path))
        if whole is not None:
            return whole, {}
        first, last = _ends(path)
        for key in ((method, first, last), (method, first, "")):
            for pattern, route in self._parts.get(key, ()):
                match = pattern.match(path)
                if match is not None:
                    return route, match.groupdict()
        raise NotFound("page not found")


def _ends(path: str) -> tuple[str, str]:
    first = path[1:].partition("/")[0]
    last = path.rpartition("/")[2]
    return first, "" if "{" in last else last
