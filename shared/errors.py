"""Error kinds: one root, one subclass per kind (containerd's list).

A kind, never a text, decides what a caller does next. The gateway has the one table from kind to
HTTP status; this module has the one table from kind to wire code (the NATS service error code).
"""

from __future__ import annotations

from typing import ClassVar


class ShoalError(Exception):
    """Root of all errors that may cross a contract. `message` is for people, `kind` for programs."""

    kind: ClassVar[str] = "internal"
    code: ClassVar[int] = 500

    def __init__(self, message: str, **details: str) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InvalidArgument(ShoalError):
    """The request itself is wrong; sending it again cannot help."""

    kind, code = "invalid_argument", 400


class NotFound(ShoalError):
    """The object named in the request does not exist."""

    kind, code = "not_found", 404


class AlreadyExists(ShoalError):
    """The object, or its name, is taken."""

    kind, code = "already_exists", 409


class Conflict(ShoalError):
    """The object is in a state, or was changed by somebody else, such that the request cannot be done."""

    kind, code = "conflict", 409


class FailedPrecondition(ShoalError):
    """Something outside the object must change first."""

    kind, code = "failed_precondition", 412


class PermissionDenied(ShoalError):
    """Not allowed to this caller."""

    kind, code = "permission_denied", 403


class Unauthenticated(ShoalError):
    """The caller did not prove who it is."""

    kind, code = "unauthenticated", 401


class ResourceExhausted(ShoalError):
    """A limit was reached: size, count, disk, memory."""

    kind, code = "resource_exhausted", 429


class NotModified(ShoalError):
    """The object is already as asked for."""

    kind, code = "not_modified", 304


class Aborted(ShoalError):
    """Broken off half-way by somebody else; may be tried again from the start."""

    kind, code = "aborted", 409


class Cancelled(ShoalError):
    """Broken off at the caller's wish."""

    kind, code = "cancelled", 499


class DeadlineExceeded(ShoalError):
    """No answer in time; whether the work was done is not known."""

    kind, code = "deadline_exceeded", 504


class Unavailable(ShoalError):
    """Nobody serves this now; the request was not begun, or its server went away."""

    kind, code = "unavailable", 503


class NotImplementedYet(ShoalError):
    """The engine does not have this (yet)."""

    kind, code = "not_implemented", 501


class DataLoss(ShoalError):
    """Stored bytes are missing or damaged."""

    kind, code = "data_loss", 500


class Unknown(ShoalError):
    """Somebody outside (a registry, for one) failed in a way that none of the other kinds tells."""

    kind, code = "unknown", 500


class Internal(ShoalError):
    """A defect of the engine. The message carries an error id; the trace is in the log under that id."""

    kind, code = "internal", 500


KINDS: dict[str, type[ShoalError]] = {
    error.kind: error
    for error in (
        InvalidArgument, NotFound, AlreadyExists, Conflict, FailedPrecondition, PermissionDenied,
        Unauthenticated, ResourceExhausted, NotModified, Aborted, Cancelled, DeadlineExceeded,
        Unavailable, NotImplementedYet, DataLoss, Unknown, Internal,
    )
}  # fmt: skip


def from_kind(kind: str, message: str, details: dict[str, str] | None = None) -> ShoalError:
    """The error that a wire kind stands for; an unknown kind (a newer peer) becomes `Internal`."""
    error = KINDS.get(kind, Internal)(message)
    error.details = dict(details or {})
    return error
