from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.image_store.domain.registry_answers import RegistryError, goes_on, of_any, of_pull, refusal
from services.image_store.domain.registry_auth import challenges
from shared.errors import InvalidArgument, NotFound, ResourceExhausted, Unauthenticated, Unknown
from shared.reference import parse

JSON = "application/json; charset=utf-8"
REFERENCE = parse("localhost:5000/a:1")


def body(*errors: tuple[str, str, object]) -> bytes:
    keys = ("code", "message", "detail")
    return json.dumps({"errors": [dict(zip(keys, error, strict=True)) for error in errors]}).encode()


@pytest.mark.parametrize(
    ("status", "content_type", "data", "text"),
    [
        (404, JSON, body(("MANIFEST_UNKNOWN", "manifest unknown", {"Tag": "1"})), "manifest unknown: manifest unknown"),
        (404, JSON, body(("MANIFEST_UNKNOWN", "manifest unknown", None)), "manifest unknown"),
        (404, JSON, body(("STRANGE", "odd", None)), "unknown: odd"),
        (403, "text/plain", b"go away", "denied: go away"),
        (401, "", b"who?", "unauthorized: who?"),
        (401, JSON, b"{}", "unauthorized: authentication required"),
        (429, "text/html", b"slow down", "toomanyrequests: slow down"),
        (429, JSON, b'{"details":"slower"}', "toomanyrequests: slower"),
        (
            404,
            JSON,
            b"<html>",
            'error parsing HTTP 404 response body: JSON is malformed: invalid character (byte 0): "<html>"',
        ),
        (404, JSON, b"{}", 'error parsing HTTP 404 response body: no error details found in HTTP response body: "{}"'),
        (503, JSON, b"", "received unexpected HTTP status: 503 Service Unavailable"),
        (400, JSON, body(("DIGEST_INVALID", "", "x"), ("DENIED", "no", "y")),
         "errors:\ndigest invalid: provided digest did not match uploaded content\ndenied: no\n"),
    ],
)  # fmt: skip
def test_texts_are_dockers(status: int, content_type: str, data: bytes, text: str) -> None:
    assert refusal(status, "Service Unavailable", content_type, data).message == text


@given(st.integers(300, 599), st.sampled_from(["", JSON, "text/plain"]), st.binary(max_size=300))
def test_any_answer_becomes_an_error(status: int, content_type: str, data: bytes) -> None:
    assert refusal(status, "x", content_type, data).message is not None


def test_deep_json() -> None:
    assert "parsing HTTP 400" in refusal(400, "", JSON, b"[" * 100_000).message


def test_what_a_token_lacks() -> None:
    offered = challenges(['Bearer realm="r",error="insufficient_scope"'])
    error = refusal(401, "", JSON, body(("UNAUTHORIZED", "authentication required", None)), offered)
    assert error.name == "DENIED"
    assert "denied: requested access to the resource is denied" in error.message


def test_what_may_be_tried_again() -> None:
    assert refusal(503, "", "", b"").again
    assert refusal(500, "", "", b"", retry="7").wait == 7
    assert not refusal(404, "", JSON, body(("BLOB_UNKNOWN", "", None))).again
    assert refusal(400, "", JSON, body(("STRANGE", "odd", None))).again
    assert not refusal(429, "", "", b"slow").again
    assert not refusal(429, "", "", b"slow", retry="86400").again
    assert not refusal(429, "", "", b"slow", retry="Wed, 21 Oct 2026 07:28:00 GMT").again
    assert refusal(429, "", "", b"slow", retry="5").again


def test_what_a_pull_makes_of_them() -> None:
    def told(name: str, status: int = 404) -> Exception:
        return of_pull(refusal(status, "", JSON, body((name, "", "x"))), REFERENCE)

    assert isinstance(told("MANIFEST_UNKNOWN"), NotFound)
    assert (
        str(told("MANIFEST_UNKNOWN")) == "manifest for localhost:5000/a:1 not found: manifest unknown: manifest unknown"
    )
    assert str(told("NAME_UNKNOWN")).startswith("repository localhost:5000/a not found: name unknown")
    assert str(told("DENIED", 403)).startswith(
        "pull access denied for localhost:5000/a, repository does not exist or may require 'docker login': denied: "
    )
    assert isinstance(told("UNAUTHORIZED", 401), Unauthenticated)
    assert type(told("TOOMANYREQUESTS", 429)) is Unknown
    other = InvalidArgument("x")
    assert of_pull(other, REFERENCE) is other


def test_what_any_other_question_makes_of_them() -> None:
    assert isinstance(of_any(RegistryError("x", name="NAME_UNKNOWN", status=404)), NotFound)
    assert type(of_any(RegistryError("x"))) is Unknown


def test_whom_to_ask_next() -> None:
    error = RegistryError("x")
    assert goes_on(error, mirror=True, answered=True)
    assert goes_on(error, mirror=False, answered=False)
    assert not goes_on(error, mirror=False, answered=True)
    assert not goes_on(ResourceExhausted("full"), mirror=True, answered=False)
