"""The published form of a contract: AsyncAPI 3 with JSON Schema, generated from the declaration."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec

from shared.contracts.base import Contract, Endpoint, Event
from shared.contracts.conventions import RECORDS, WIRE


def document(contract: Contract) -> dict[str, Any]:
    """The AsyncAPI 3.0 document of a contract. Deterministic: equal contracts give equal documents.

    `ValueError` when two of its messages have one name.
    """
    kinds = [kind for e in contract.endpoints for kind in (e.request, e.reply)]
    kinds += [event.message for event in contract.events] + [keys.record for keys in contract.owns]
    unique = _by_name(kinds)
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for endpoint in contract.endpoints:
        _add_endpoint(endpoint, channels, operations)
    for event in contract.events:
        _add_event(event, channels, operations)
    made = {
        "asyncapi": "3.0.0",
        "info": {"title": f"shoal {contract.name}", "version": contract.version, "description": contract.summary},
        "channels": channels,
        "operations": operations,
        "components": {"messages": _messages(unique), "schemas": _schemas(unique)},
        "x-wire": WIRE,
        "x-records": RECORDS,
        "x-keys": {keys.pattern: {"bucket": keys.bucket, "record": keys.record.__name__} for keys in contract.owns},
        "x-calls": list(contract.calls),
        "x-hears": list(contract.hears),
        "x-reads": list(contract.reads),
        **({"x-reads-agreed": list(contract.reads_agreed)} if contract.reads_agreed else {}),
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(made))  # tuples are lists, as in the file
    return plain


def _by_name(kinds: Iterable[Any]) -> list[tuple[str, Any]]:
    named: dict[str, Any] = {}
    for kind in kinds:
        if named.setdefault(kind.__name__, kind) is not kind:
            raise ValueError(f"two messages of one contract are called {kind.__name__}")
    return sorted(named.items())


@cache
def texts() -> dict[str, str]:
    """What stands behind the declaration of an endpoint or event in its module, by its name."""
    found = {}
    for module in [each for name, each in sorted(sys.modules.items()) if name.startswith(__package__ + ".")]:
        body = ast.parse(inspect.getsource(module)).body
        for declared, text in pairwise(body):
            value = text.value if isinstance(text, ast.Expr) else None
            if isinstance(declared, ast.Assign) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                named = getattr(module, ast.unparse(declared.targets[0]))
                if isinstance(named, Endpoint | Event):
                    found[named.name] = inspect.cleandoc(value.value)
    return found


def _schemas(unique: list[tuple[str, Any]]) -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(
        [kind for _, kind in unique], ref_template="#/components/schemas/{name}"
    )
    for schema in schemas.values():  # Python 3.13 keeps docstrings without their indentation, 3.11 with it
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    return dict(sorted(schemas.items()))


def _messages(unique: list[tuple[str, Any]]) -> dict[str, Any]:
    return {
        name: {"name": name, "contentType": "application/json", "payload": {"$ref": f"#/components/schemas/{name}"}}
        for name, _ in unique
    }


def _message(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/messages/{name}"}


def _add_endpoint(endpoint: Any, channels: dict[str, Any], operations: dict[str, Any]) -> None:
    name = endpoint.operation
    node = "{node}" if endpoint.host_bound else ""
    channel: dict[str, Any] = {
        "address": endpoint.subject(node),
        "messages": {"request": _message(endpoint.request.__name__)},
    }
    if endpoint.host_bound:
        channel["parameters"] = {"node": {"description": "id of the host that serves"}}
    channels[name] = channel
    channels[f"{name}.reply"] = {"address": None, "messages": {"reply": _message(endpoint.reply.__name__)}}
    operations[name] = {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{name}"},
        "reply": {"channel": {"$ref": f"#/channels/{name}.reply"}},
        "x-errors": [error.kind for error in endpoint.errors],
        "x-idempotent": endpoint.idempotent,
        "x-timeout-seconds": endpoint.timeout,
    }
    if text := texts().get(endpoint.name):
        operations[name]["description"] = text


def _add_event(event: Any, channels: dict[str, Any], operations: dict[str, Any]) -> None:
    address = f"{event.subject}.{{action}}" if event.kept else event.subject
    channel: dict[str, Any] = {"address": address, "messages": {"event": _message(event.message.__name__)}}
    if event.kept:
        channel["parameters"] = {"action": {"description": "what happened, as `start`"}}
    channels[event.name] = channel
    operations[f"tell.{event.name}"] = {"action": "send", "channel": {"$ref": f"#/channels/{event.name}"}}
