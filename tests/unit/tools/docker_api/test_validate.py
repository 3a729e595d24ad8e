from __future__ import annotations

import pytest

from tools.docker_api.swagger import Api, Schema
from tools.docker_api.validate import problems

API = Api("0", {}, {"Name": {"type": "string"}})
MONTH_13 = "'2026-13-01T00:00:00Z'"
OBJECT: Schema = {
    "type": "object",
    "required": ["Id"],
    "properties": {"Id": {"$ref": "#/definitions/Name"}, "List": {"type": "array", "items": {"type": "integer"}}},
}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": "string"}, "a", []),
        ({"type": "string"}, 1, ["$: int instead of string"]),
        ({"type": "string"}, None, ["$: null instead of string"]),
        ({"type": "string", "x-nullable": True}, None, []),
        ({}, None, []),
        ({"type": "integer"}, True, ["$: bool instead of integer"]),
        ({"type": "number"}, 1, []),
        ({"type": "boolean"}, 0, ["$: int instead of boolean"]),
        ({"type": "integer", "format": "uint16"}, 70000, ["$: 70000 is out of range"]),
        ({"type": "integer", "minimum": 0}, -1, ["$: -1 is out of range"]),
        ({"type": "string", "enum": ["a", "b"]}, "c", ["$: 'c' is none of ['a', 'b']"]),
        ({"type": "string", "format": "dateTime"}, "2026-01-01T00:00:00.123456789Z", []),
        ({"type": "string", "format": "date-time"}, "2026-13-01T00:00:00Z", [f"$: {MONTH_13} is no RFC 3339 time"]),
        ({"type": "string", "format": "dateTime"}, "now", ["$: 'now' is no RFC 3339 time"]),
        ({"type": "string", "pattern": "^a+$"}, "b", ["$: 'b' does not match ^a+$"]),
        ({"type": "array", "minItems": 1}, [], ["$: 0 items, minItems is 1"]),
        ({"type": "array", "items": {"type": "string"}}, ["a", 1], ["$[]: int instead of string"]),
        (OBJECT, {"Id": "x", "List": [1]}, []),
        (OBJECT, {"List": None}, ["$.Id: is missing", "$.List: null instead of array"]),
        (OBJECT, {"Id": "x", "id": 1}, ["$.id: is not in the schema"]),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"a": 1}, ["${}: int instead of string"]),
        ({"type": "object"}, {"a": 1}, []),
        ({"properties": {"a": {"type": "string"}}}, [], ["$: list instead of object"]),
    ],
)  # fmt: skip
def test_problems(schema: Schema, value: object, expected: list[str]) -> None:
    assert [str(each) for each in problems(API, schema, value)] == expected
