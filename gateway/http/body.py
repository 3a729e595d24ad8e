"""Request bodies: limits, content type, JSON."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from shared.errors import InvalidArgument

from .errors import HttpError
from .inbox import ClientGone
from .message import Request

BODY_DEADLINE = 60.0
"""Seconds in which a JSON body must arrive."""


async def read(request: Request, limit: int) -> bytes:
    """The whole body. Refuses more than `limit` bytes (413) and a body that does not arrive in time (408)."""
    if request.content_length is not None and request.content_length > limit:
        raise HttpError(413, f"request body too large: at most {limit} bytes")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_DEADLINE):
            while data := await request.body.read():
                size += len(data)
                if size > limit:
                    raise HttpError(413, f"request body too large: at most {limit} bytes")
                parts.append(data)
    except TimeoutError:
        raise HttpError(408, f"request body not complete within {BODY_DEADLINE:.0f} seconds") from None
    except ClientGone:
        raise HttpError(400, "invalid request body: unexpected EOF") from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def check_content_type(request: Request) -> None:
    """A body must be JSON, by its header (Docker's rule)."""
    content_type = request.headers.get("content-type", "")
    if content_type == "" and request.content_length == 0:
        return
    if content_type.partition(";")[0].strip().lower() != "application/json":
        if content_type == "":
            raise InvalidArgument("malformed Content-Type header (): mime: no media type")
        raise InvalidArgument(f"unsupported Content-Type header ({content_type}): must be 'application/json'")


async def read_json(request: Request, limit: int) -> dict[str, Any] | None:
    """The body's JSON object, None when there is no body or it is null. Raises `InvalidArgument`."""
    check_content_type(request)
    return decode(await read(request, limit))


def decode(data: bytes) -> dict[str, Any] | None:
    """A JSON object from bytes, in Docker's words when it is not one."""
    if not data:
        return None
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None
    except RecursionError:
        raise InvalidArgument("invalid JSON: nested too deeply") from None
    if value is not None and not isinstance(value, dict):
        raise InvalidArgument(f"invalid JSON: cannot unmarshal {_kind(value)} into an object")
    return value


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array"
