"""What registries answer instead of doing as asked, in Docker's words (distribution's `errcode`). Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.errors import NotFound, ResourceExhausted, ShoalError, Unauthenticated, Unknown
from shared.reference import Reference

from .registry_auth import Challenge

LONGEST_TEXT = 2000
LONGEST_WAIT = 60.0
"""Seconds that a registry may ask for by `Retry-After` before its refusal counts as final."""
STANDARD = {
    "UNKNOWN": "unknown error",
    "UNSUPPORTED": "The operation is unsupported.",
    "UNAUTHORIZED": "authentication required",
    "DENIED": "requested access to the resource is denied",
    "UNAVAILABLE": "service unavailable",
    "TOOMANYREQUESTS": "too many requests",
    "DIGEST_INVALID": "provided digest did not match uploaded content",
    "SIZE_INVALID": "provided length did not match content length",
    "NAME_INVALID": "invalid repository name",
    "TAG_INVALID": "manifest tag did not match URI",
    "NAME_UNKNOWN": "repository name not known to registry",
    "MANIFEST_UNKNOWN": "manifest unknown",
    "MANIFEST_INVALID": "manifest invalid",
    "MANIFEST_UNVERIFIED": "manifest failed signature verification",
    "MANIFEST_BLOB_UNKNOWN": "blob unknown to registry",
    "BLOB_UNKNOWN": "blob unknown to registry",
    "BLOB_UPLOAD_UNKNOWN": "blob upload unknown to registry",
    "BLOB_UPLOAD_INVALID": "blob upload invalid",
}
_BY_STATUS = {401: "UNAUTHORIZED", 403: "DENIED", 429: "TOOMANYREQUESTS"}
_FINAL = {"UNAUTHORIZED", "UNSUPPORTED", "DENIED", "TOOMANYREQUESTS", "NAME_UNKNOWN", "BLOB_UNKNOWN"}


class RegistryError(Unknown):
    """A request to a registry that failed.

    `name` is the registry's error code (`MANIFEST_UNKNOWN`) where there is one, `status` that of its answer or 0.
    `again`: trying again may help, after `wait` seconds where the registry said so. `is_of_login`: it was the token
    service that refused.
    """

    def __init__(
        self,
        message: str,
        *,
        name: str = "",
        status: int = 0,
        again: bool = True,
        wait: float | None = None,
        of_login: bool = False,
    ) -> None:
        super().__init__(message)
        self.name, self.status, self.again, self.wait, self.is_of_login = name, status, again, wait, of_login


class _Item(msgspec.Struct):
    code: str = ""
    message: str = ""
    detail: Any = None


class _Body(msgspec.Struct):
    errors: list[_Item] | None = None
    details: Any = None


def refusal(
    status: int, reason: str, content_type: str, body: bytes, challenges: tuple[Challenge, ...] = (), retry: str = ""
) -> RegistryError:
    """The error that an answer with a status of failure stands for; `retry` is its `Retry-After`."""
    wait = _seconds(retry)
    if not 400 <= status < 500:
        line = f"{status} {reason}".strip()
        return RegistryError(f"received unexpected HTTP status: {line}", status=status, wait=wait)
    items = _items(status, content_type, body)
    for challenge in challenges:
        told = {"invalid_token": "UNAUTHORIZED", "insufficient_scope": "DENIED"}.get(
            challenge.parameters.get("error", "")
        )
        if challenge.scheme == "bearer" and told:
            items.insert(0, (told, challenge.parameters.get("error_description") or STANDARD[told], True))
            break
    name = items[0][0]
    lasting = name in _FINAL or not name
    return RegistryError(
        _text(items)[:LONGEST_TEXT], name=name, status=status, again=not lasting or _is_short(wait), wait=wait
    )


def _is_short(wait: float | None) -> bool:
    return wait is not None and wait <= LONGEST_WAIT


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _items(status: int, content_type: str, body: bytes) -> list[tuple[str, str, bool]]:
    """(code, message, whether the message says more than the code) of each error; code "" for an unreadable body."""
    plain = body.decode(errors="replace")
    name = _BY_STATUS.get(status, "UNKNOWN")
    if content_type.partition(";")[0].strip().lower() not in ("application/json", "application/vnd.api+json"):
        return [(name, plain, True)]
    try:
        answer = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return [_unreadable(status, str(error), plain)]
    if isinstance(answer.details, str) and answer.details:
        return [(name, answer.details, True)]
    if not answer.errors:
        return [_unreadable(status, "no error details found in HTTP response body", plain)]
    return [_known(item) for item in answer.errors[:10]]


def _unreadable(status: int, why: str, text: str) -> tuple[str, str, bool]:
    if status in _BY_STATUS:
        return _BY_STATUS[status], STANDARD[_BY_STATUS[status]], True
    return "", f'error parsing HTTP {status} response body: {why}: "{text[:200]}"', True


def _known(item: _Item) -> tuple[str, str, bool]:
    name = item.code if item.code in STANDARD else "UNKNOWN"
    more = item.detail is not None or item.message not in ("", STANDARD[name])
    return name, item.message or STANDARD[name], more


def _text(items: list[tuple[str, str, bool]]) -> str:
    lines = []
    for name, message, more in items:
        title = name.lower().replace("_", " ")
        lines.append(message if not name else f"{title}: {message}" if more else title)
    return lines[0] if len(lines) == 1 else "errors:\n" + "".join(f"{line}\n" for line in lines)


def of_pull(error: ShoalError, reference: Reference) -> ShoalError:
    """What dockerd makes of an error of a pull: 404 for what is not there, 401 for who is not known."""
    if not isinstance(error, RegistryError):
        return error
    told = {
        "DENIED": f"pull access denied for {reference.familiar_name}, "
        "repository does not exist or may require 'docker login'",
        "MANIFEST_UNKNOWN": f"manifest for {reference.familiar} not found",
        "NAME_UNKNOWN": f"repository {reference.familiar_name} not found",
    }.get(error.name)
    if told:
        return NotFound(f"{told}: {error.message}")
    return of_any(error)


def of_any(error: RegistryError) -> ShoalError:
    """The kind that passes on to who asked."""
    if error.name == "UNAUTHORIZED" and error.status == 401 and not error.is_of_login:
        return Unauthenticated(error.message)
    if error.name in ("MANIFEST_UNKNOWN", "NAME_UNKNOWN", "BLOB_UNKNOWN"):
        return NotFound(error.message)
    return Unknown(error.message)


def goes_on(error: ShoalError, mirror: bool, answered: bool) -> bool:
    """Whether the next endpoint may do better: behind a mirror, and behind one that has not answered at all."""
    return not isinstance(error, ResourceExhausted) and (mirror or not answered)
