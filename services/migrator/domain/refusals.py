"""Which errors are certain refusals."""

from __future__ import annotations

from shared.errors import (
    AlreadyExists,
    Conflict,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    NotImplementedYet,
    PermissionDenied,
    ResourceExhausted,
    ShoalError,
)

_REFUSALS = (
    AlreadyExists, Conflict, FailedPrecondition, InvalidArgument, NotFound, NotImplementedYet, PermissionDenied,
    ResourceExhausted,
)  # fmt: skip


def is_refusal(error: ShoalError) -> bool:
    """Whether somebody was there, and said no; else it may have been done although no answer came."""
    return isinstance(error, _REFUSALS)
