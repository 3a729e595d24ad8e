"""What a contract is made of: messages, endpoints, events, key families.

A contract is declared once, as values. From it come the types a caller sees, the check a service makes at
its start, the AsyncAPI and JSON Schema documents, the broker permissions and the conformance suite.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from shared.errors import ShoalError

ROOT = "shoal.v1"
BUCKET = "shoal"
"""The one key-value bucket of durable records: one revision counter orders all of them."""
AGREED = "shoal_cluster"
"""The bucket of what must be agreed on by all hosts of a cluster: the hubs keep it, else this host alone."""


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of everything on the wire: JSON; unknown fields are ignored, so that messages can grow."""


class Empty(Message, frozen=True):
    """A request or reply without content."""


Request = TypeVar("Request", bound=Message)
Reply = TypeVar("Reply", bound=Message)
Record = TypeVar("Record", bound=Message)


@dataclass(frozen=True)
class Endpoint(Generic[Request, Reply]):
    """One operation of a service: `name` is `<service>.<operation>`.

    `host_bound` endpoints are addressed to one node. `idempotent` ones are called again by the bus when
    their server goes away. `timeout` is the deadline in seconds where the caller sets none; 0: no deadline
    (long waits), the call then ends with its server.
    """

    name: str
    request: type[Request]
    reply: type[Reply]
    errors: tuple[type[ShoalError], ...] = ()
    host_bound: bool = True
    idempotent: bool = False
    timeout: float = 30.0

    @property
    def service(self) -> str:
        return self.name.partition(".")[0]

    @property
    def operation(self) -> str:
        return self.name.partition(".")[2]

    def subject(self, node: str = "") -> str:
        """`shoal.v1.<service>.<operation>`, with the node before the operation when host-bound."""
        if self.host_bound and not node:
            raise ValueError(f"{self.name} is host-bound: a node is needed")
        where = f"{node}." if self.host_bound else ""
        return f"{ROOT}.{self.service}.{where}{self.operation}"


@dataclass(frozen=True)
class Event(Generic[Record]):
    """Something that happened: `name` is `<type>.<action>`.

    Kept events (Docker's) go to the events stream under `shoal.v1.events.<type>.<action>` and can be
    replayed; signals (`kept=False`) reach only who listens now on the same host, and their loss must be made good by
    asking.
    """

    name: str
    message: type[Record]
    kept: bool = True

    @property
    def subject(self) -> str:
        return f"{ROOT}.events.{self.name}" if self.kept else f"{ROOT}.signals.{self.name}"


_UNUSABLE = re.compile(rb"[^-/_a-zA-Z0-9]")
_ESCAPED = re.compile(rb"=([0-9A-F]{2})")


def _token(part: str) -> str:
    """A part as one token of a subject: bytes that no token may hold (a name's dots, blanks) become `=XX`."""
    if not part:
        raise ValueError("an empty part cannot be in a key")
    return _UNUSABLE.sub(lambda found: b"=%02X" % found[0][0], part.encode()).decode()


def _part(token: str) -> str:
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), token.encode()).decode(errors="replace")


@dataclass(frozen=True)
class Keys(Generic[Record]):
    """A family of records with one writer. `pattern` has `*` where the key's parts go: `containers.*.spec`."""

    pattern: str
    record: type[Record]
    bucket: str = BUCKET

    def key(self, *parts: str) -> str:
        """The key for these parts, any non-empty strings; `ValueError` for a wrong number of them."""
        if len(parts) != self.pattern.count("*"):
            raise ValueError(f"{self.pattern} takes {self.pattern.count('*')} parts")
        rest = iter(parts)
        return ".".join(_token(next(rest)) if token == "*" else token for token in self.pattern.split("."))

    def parts(self, key: str) -> tuple[str, ...] | None:
        """The parts of a key of this family, or None for a key of another."""
        tokens, wanted = key.split("."), self.pattern.split(".")
        if len(tokens) != len(wanted) or any(w not in ("*", t) for t, w in zip(tokens, wanted, strict=True)):
            return None
        return tuple(_part(t) for t, w in zip(tokens, wanted, strict=True) if w == "*")


@dataclass(frozen=True)
class Contract:
    """All that is visible of a service: what it answers, tells, owns, reads and calls.

    `calls` names endpoints (`image_store.prepare`) or whole services (`image_store.*`) of others; `hears`
    the events it listens to; `reads` key families of others, those of all hosts; `reads_agreed` families of what the
    whole cluster agrees on. `keeps_agreed`: it makes and replicates the bucket of what is agreed on. Broker permissions
    are generated from these. `drivers`: contracts of which it serves a driver besides (`services.platform.driver`).
    """

    name: str
    version: str
    summary: str
    endpoints: tuple[Endpoint[Any, Any], ...] = ()
    events: tuple[Event[Any], ...] = ()
    owns: tuple[Keys[Any], ...] = ()
    calls: tuple[str, ...] = ()
    hears: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    reads_agreed: tuple[str, ...] = ()
    keeps_agreed: bool = False
    drivers: tuple[str, ...] = ()


DESCRIBE_OPERATION = "contract"
"""Every service answers `<its subject>.contract` with its AsyncAPI document."""
