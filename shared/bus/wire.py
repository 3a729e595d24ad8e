"""The wire form of requests, replies and errors: JSON bodies and NATS headers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from shared.contracts.base import Message
from shared.errors import KINDS, InvalidArgument, ShoalError, from_kind

TIMEOUT = "Shoal-Timeout"
"""Milliseconds left to the caller's deadline when it sent the request (hosts' clocks differ)."""
REQUEST_ID = "Shoal-Request-Id"
"""The same on each sending of one request: a server answers a repeated one without doing the work again."""
AGE = "Shoal-Age"
"""Milliseconds since the request was first sent, when it is sent again: what an instance that began to serve later
does not know may have been done by its predecessor, and is refused unless the endpoint is idempotent."""
GONE = "Shoal-Gone"
"""Header of an empty reply: the server ends, and broke off the work. Whether there will be another is not known."""
ERROR = "Nats-Service-Error"
ERROR_CODE = "Nats-Service-Error-Code"

M = TypeVar("M", bound=Message)


class ErrorBody(Message, frozen=True):
    """Body of an error reply; `kind` is one of `shared.errors.KINDS`."""

    kind: str
    message: str
    details: dict[str, str] = {}


_encoder = msgspec.json.Encoder()
_decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {}


def encode(message: Message) -> bytes:
    """The JSON bytes of a message."""
    return _encoder.encode(message)


def prepare(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    """Makes and keeps what `decode` needs for a type of message; else its first use does."""
    decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    return decoder


def decode(payload: bytes, kind: type[M]) -> M:
    """The message; raises `InvalidArgument` with the path of the field that does not fit."""
    decoder = _decoders.get(kind) or prepare(kind)
    try:
        return decoder.decode(payload or b"{}")  # type: ignore[no-any-return]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"{kind.__name__}: {error}") from None


def read_headers(raw: bytes) -> dict[str, str]:
    """The headers of a message in NATS' wire form (ADR-4); an inline status becomes `Status` and `Description`."""
    first, *lines = raw.decode("utf-8", "replace").split("\r\n")
    status, _, description = first.removeprefix("NATS/1.0").strip().partition(" ")
    found = {name: text for name, text in (("Status", status), ("Description", description)) if text}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            found[name] = value.strip()
    return found


def encode_error(error: ShoalError) -> tuple[bytes, dict[str, str]]:
    """Body and headers of an error reply (NATS ADR-32 service errors)."""
    body = ErrorBody(kind=error.kind, message=error.message, details=error.details)
    line = error.message.splitlines()[0] if error.message else error.kind
    return _encoder.encode(body), {
        ERROR: line[:200].encode("ascii", "replace").decode(),
        ERROR_CODE: str(error.code),
    }


def raise_error(payload: bytes, headers: Mapping[str, str]) -> None:
    """Raises the error that a reply carries, if it carries one."""
    if ERROR_CODE not in headers:
        return
    try:
        body = decode(payload, ErrorBody)
    except InvalidArgument:  # a foreign service may send the header alone
        body = ErrorBody(kind=_kind_of(headers[ERROR_CODE]), message=headers.get(ERROR, "error"))
    raise from_kind(body.kind, body.message, body.details)


def _kind_of(code: str) -> str:
    return next((kind for kind, error in KINDS.items() if str(error.code) == code), "internal")
