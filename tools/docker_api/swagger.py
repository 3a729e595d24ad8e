"""Reads Swagger 2.0 files as Moby writes them: operations by id, schemas with references and `allOf` resolved."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

Schema = dict[str, Any]
VERSIONS = ("1.51", "1.55")
_METHODS = ("get", "head", "post", "put", "delete")
_REFERENCE = "#/definitions/"


@dataclass(frozen=True)
class Operation:
    """One operation. `parameters` are those of path, query and header; `body` is the body's schema."""

    id: str
    method: str
    path: str
    tag: str
    responses: dict[int, Schema | None]
    parameters: tuple[Schema, ...] = ()
    body: Schema | None = None
    produces: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    headers: dict[int, Schema] = field(default_factory=dict)
    """Documented headers of each answer."""

    def names(self, where: str) -> tuple[str, ...]:
        """Names of the parameters in `path`, `query` or `header`."""
        return tuple(each["name"] for each in self.parameters if each["in"] == where)


@dataclass(frozen=True)
class Api:
    """One version of the API."""

    version: str
    operations: dict[str, Operation]
    definitions: dict[str, Schema] = field(repr=False, default_factory=dict)

    def resolve(self, schema: Schema) -> Schema:
        """The schema itself: a reference followed, the parts of `allOf` merged into one.

        What stands beside a reference counts (Moby writes `x-nullable` there).
        """
        while "$ref" in schema:
            beside = {name: value for name, value in schema.items() if name != "$ref"}
            schema = {**self.definitions[schema["$ref"].removeprefix(_REFERENCE)], **beside}
        if "allOf" not in schema:
            return schema
        merged: Schema = {"type": "object", "properties": {}, "required": []}
        beside = {name: value for name, value in schema.items() if name != "allOf"}
        for part in (*schema["allOf"], beside):
            resolved = self.resolve(part)
            merged["properties"] |= resolved.get("properties", {})
            merged["required"] += resolved.get("required", [])
            merged |= {name: value for name, value in resolved.items() if name not in ("properties", "required")}
        return merged


@cache
def load(version: str) -> Api:
    """The API of a version in `VERSIONS`."""
    import yaml

    file = Path(__file__).with_name(f"swagger-v{version}.yaml")
    data = yaml.load(file.read_text(), yaml.CSafeLoader)
    found = [
        _operation(data, method, path, entry)
        for path, entries in data["paths"].items()
        for method, entry in entries.items()
        if method in _METHODS
    ]
    return Api(version, {operation.id: operation for operation in found}, data["definitions"])


def _operation(data: Schema, method: str, path: str, entry: Schema) -> Operation:
    parameters = tuple(each for each in entry.get("parameters", ()) if each["in"] != "body")
    bodies = [each["schema"] for each in entry.get("parameters", ()) if each["in"] == "body"]
    return Operation(
        id=entry["operationId"],
        method=method.upper(),
        path=path,
        tag=entry["tags"][0],
        responses={int(status): answer.get("schema") for status, answer in entry["responses"].items()},
        parameters=parameters,
        body=bodies[0] if bodies else None,
        produces=tuple(entry.get("produces") or data["produces"]),
        consumes=tuple(entry.get("consumes") or data["consumes"]),
        headers={int(status): answer.get("headers", {}) for status, answer in entry["responses"].items()},
    )
