"""The one table from error kind to HTTP status, and the answer an error becomes."""

from __future__ import annotations

import msgspec

from shared.errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    Conflict,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    NotImplementedYet,
    NotModified,
    PermissionDenied,
    ResourceExhausted,
    ShoalError,
    Unauthenticated,
    Unavailable,
    Unknown,
)

from .message import Response

STATUS: dict[type[ShoalError], int] = {
    InvalidArgument: 400,
    NotFound: 404,
    AlreadyExists: 409,
    Conflict: 409,
    FailedPrecondition: 409,
    PermissionDenied: 403,
    Unauthenticated: 401,
    ResourceExhausted: 507,
    NotModified: 304,
    Aborted: 409,
    Cancelled: 499,
    DeadlineExceeded: 504,
    Unavailable: 503,
    NotImplementedYet: 501,
    DataLoss: 500,
    Unknown: 500,
    Internal: 500,
}
"""Docker's classes where Docker has one; 507 is what a full disk or an exhausted pool answers."""


class HttpError(Exception):
    """A request that HTTP itself refuses (408, 413, 431 ...). `close`: nothing more can be read from this client."""

    def __init__(self, status: int, message: str, close: bool = True) -> None:
        super().__init__(message)
        self.status, self.message, self.close = status, message, close


def status_of(error: ShoalError) -> int:
    """The table; a kind that is not in it is a defect."""
    return STATUS.get(type(error), 500)


def refusal(status: int, message: str, close: bool = False) -> Response:
    """Docker's form of an error: `{"message": ...}`; 304 has no body."""
    if status == 304:
        return Response(304)
    body = msgspec.json.encode({"message": message}) + b"\n"
    return Response(status, body, (("Content-Type", "application/json"),), close=close)


def from_error(error: ShoalError) -> Response:
    """The answer for an error kind."""
    return refusal(status_of(error), error.message)
