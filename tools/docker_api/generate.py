"""Requests made from the swagger files: most of them nearly right, some wrong in one place, a few not even JSON.

Request number n of a seed is made from a generator of its own: it can be made again without the n before it (where
objects are named, from the names given).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

from .hints import FILTER_VALUES, FILTERS, GUARDED, HINTS, World
from .swagger import Api, Operation, Schema

WRONG = 0.03
"""How often a single value is replaced by something else."""
TEXTS = (
    "", " ", "x", "a b", "ä€𝄞", "\u0000", "\n", "../../etc", "%", "{{.}}", "' OR 1=1", "x" * 5000, "null", "0", "-",
    "\ud83d\ude00", "a" * 64, "sha256:", "true",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 10, 1000, 1 << 31, -(1 << 31), (1 << 63) - 1, 1 << 63, -(1 << 63) - 1, 10**30)
NESTED = 200
"""Depth of a body that is nested too deeply."""
ONE_ANSWER = frozenset(("Swarm", "Node", "Service", "Task", "Secret", "Config", "Plugin"))
VERSIONS = (*("1.51", "1.55") * 6, "1.24", "1.29", "1.40", "1.41", "1.43", "1.44", "1.47")


@dataclass(frozen=True)
class Request:
    """One request as it is sent."""

    operation: str
    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None

    def __str__(self) -> str:
        body = "" if self.body is None else f" {self.body[:400]!r}"
        return f"{self.method} {self.target[:300]} {self.headers}{body}"


class Generator:
    """Makes requests for the operations of one API, never one of those in `without`."""

    def __init__(self, api: Api, seed: int, world: World, without: Sequence[str] = ()) -> None:
        self._api, self._seed, self._world = api, seed, world
        self._operations = [each for each in api.operations.values() if each.id not in without]

    def request(self, number: int) -> Request:
        """The request of this number."""
        random = Random(f"{self._seed}/{number}")
        return _Maker(self._api, random, self._world).request(random.choices(self._operations, self._weights())[0])

    def _weights(self) -> list[float]:
        """Creations come more often, as the others need what they make; what is answered in one way only, seldom."""
        often = ("ContainerCreate", "ContainerStart", "ContainerExec", "NetworkCreate", "VolumeCreate")
        return [4.0 if each.id in often else 0.15 if each.tag in ONE_ANSWER else 1.0 for each in self._operations]


class _Maker:
    def __init__(self, api: Api, random: Random, world: World) -> None:
        self._api, self._random, self._world = api, random, world

    def request(self, operation: Operation) -> Request:
        version = self._random.choice(VERSIONS)
        if operation.id == "ContainerWait" and version in ("1.24", "1.29"):
            version = "1.51"  # a wait of old shows nothing before it ends
        path = operation.path
        for name in operation.names("path"):
            path = path.replace(f"{{{name}}}", quote(self._path_name(operation), safe=self._random.choice(("", "/:"))))
        query = urlencode(self._query(operation), doseq=True, errors="replace")
        headers, body = self._body(operation)
        for name in operation.names("header"):
            if name.startswith("X-") and self._random.random() < 0.5:
                headers[name] = self._random.choice(("e30=", "nonsense", "eyJ1c2VybmFtZSI6IngifQ=="))
        target = f"/v{version}{path}" + (f"?{query}" if query else "")
        return Request(operation.id, operation.method, target, headers, body)

    def _path_name(self, operation: Operation) -> str:
        return self._world.name(self._random, operation.path.split("/")[1])

    # Query.

    def _query(self, operation: Operation) -> list[tuple[str, str]]:
        pairs: list[tuple[str, str]] = []
        for parameter in operation.parameters:
            if parameter["in"] != "query":
                continue
            if (
                not parameter.get("required")
                and self._random.random() < 0.5
                and parameter["name"] not in ("t", "fromSrc")
            ):
                continue
            times = 2 if self._random.random() < 0.05 else 1
            pairs += [(parameter["name"], self._parameter(operation, parameter)) for _ in range(times)]
        return pairs

    def _parameter(self, operation: Operation, parameter: Schema) -> str:
        name = parameter["name"].lower()
        if name == "filters":
            return self._filters(operation)
        if name not in GUARDED and self._random.random() < WRONG:
            return str(self._random.choice((*TEXTS, *NUMBERS)))
        if name in HINTS:
            return str(HINTS[name](self._random, self._world))
        if "enum" in parameter:
            return str(self._random.choice(parameter["enum"]))
        if parameter.get("type") == "boolean":
            return self._random.choice(("0", "1", "true", "false", "True", "", "maybe"))
        return str(self._random.choice(NUMBERS if parameter.get("type") == "integer" else TEXTS))

    def _filters(self, operation: Operation) -> str:
        if self._random.random() < 2 * WRONG:
            return self._random.choice(
                ("{", "[]", "null", "5", '{"label":5}', '{"label":{"a":1}}', '{"nonsense":["x"]}')
            )
        known = FILTERS.get(operation.id, ("label", "name", "id"))
        chosen = {
            self._random.choice(known): self._random.choice(FILTER_VALUES) for _ in range(self._random.randrange(3))
        }
        if self._random.random() < 0.3:
            return json.dumps({name: {value: True} for name, value in chosen.items()})
        return json.dumps({name: [value] for name, value in chosen.items()})

    # Body.

    def _body(self, operation: Operation) -> tuple[dict[str, str], bytes | None]:
        if operation.body is None:
            stray = operation.method == "POST" and self._random.random() < WRONG
            return ({"Content-Type": "application/json"}, b"{}") if stray else ({}, None)
        if operation.body.get("format") == "binary":
            return {"Content-Type": "application/x-tar"}, self._random.choice((b"", b"\0" * 1024, b"nonsense" * 100))
        headers = {"Content-Type": "application/json"}
        chance = self._random.random()
        if chance < WRONG:
            return headers, self._random.choice(BROKEN)
        if chance < 1.5 * WRONG:
            return {"Content-Type": self._random.choice(("text/plain", "application/json; charset=x", ""))}, b"{}"
        if chance < 2 * WRONG:
            return {}, None
        value = self.value(operation.body, "", 0)
        return headers, json.dumps(value).encode()

    def value(self, schema: Schema, name: str, depth: int) -> Any:
        """A value for a schema, by its name where that is known."""
        lower = name.lower()
        if depth and lower not in GUARDED and self._random.random() < WRONG:
            return self._random.choice((None, [], {}, [None], {"": None}, True, *TEXTS, *NUMBERS))
        if lower in HINTS and self._random.random() < 0.95:
            return HINTS[lower](self._random, self._world)
        if lower in GUARDED:
            return None
        schema = self._api.resolve(schema)
        if "enum" in schema:
            return self._random.choice(schema["enum"])
        kind = schema.get("type") or ("object" if "properties" in schema else "string")
        return getattr(self, f"_{kind}")(schema, name, depth)

    def _object(self, schema: Schema, name: str, depth: int) -> dict[str, Any]:
        properties, more = schema.get("properties", {}), schema.get("additionalProperties")
        few = max(1, len(properties) // 6) if depth == 0 else self._random.randrange(min(4, len(properties) + 1))
        chosen = set(self._random.sample(sorted(properties), min(few, len(properties)))) | set(
            schema.get("required", ())
        )
        if depth == 0:
            chosen |= {"Image", "Cmd", "Name", "Container"} & set(properties)
        made = {each: self.value(properties[each], each, depth + 1) for each in sorted(chosen)}
        if isinstance(more, dict):
            for _ in range(self._random.randrange(3)):
                made[self._random.choice(("a", "b", *TEXTS))] = self.value(more, name, depth + 1)
        return made

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        return [self.value(schema.get("items", {}), "", depth + 1) for _ in range(self._random.randrange(3))]

    def _string(self, schema: Schema, name: str, depth: int) -> str:
        more = TEXTS if self._random.random() < 0.3 else ()
        return str(self._random.choice(("a", "b", "1", "", *more)))

    def _integer(self, schema: Schema, name: str, depth: int) -> int:
        more = NUMBERS if self._random.random() < 0.2 else ()
        return int(self._random.choice((0, 0, 1, 5, *more)))

    _number = _integer

    def _boolean(self, schema: Schema, name: str, depth: int) -> bool:
        return self._random.random() < 0.5


BROKEN = (
    b"", b"{", b"[]", b"null", b"5", b'"x"', b"{}{}", b"\xff\xfe", b'{"a":1e999}', b'{"Image":"\\ud800"}',
    b"[" * NESTED + b"]" * NESTED, b'{"a":' * NESTED + b"1" + b"}" * NESTED, b'{"Image":"x","Image":1}', b"\0",
)  # fmt: skip
