"""What holds for every contract and stands in each published document: headers, errors, records, streams, discovery.

With these a program in any language can serve or call a contract by its document alone.
"""

from __future__ import annotations

from typing import Any

from shared.errors import KINDS


def _headers(**described: str) -> dict[str, Any]:
    properties = {name.replace("_", "-"): {"type": "string", "description": text} for name, text in described.items()}
    return {"type": "object", "properties": properties}


WIRE: dict[str, Any] = {
    "description": (
        "Messages are JSON in UTF-8; unknown fields are ignored, fields that have their default may be left out, bytes "
        "are base64. A request is published with a reply subject and answered there once. An empty one stands for {}."
    ),
    "requestHeaders": _headers(
        Shoal_Timeout="Milliseconds that the caller still waits; the work is broken off after them.",
        Shoal_Request_Id=(
            "The same on each sending of one request. A server keeps its last answers and gives the same one again: "
            "nothing is done twice."
        ),
        Shoal_Age=(
            "Milliseconds since the request was first sent, when it is sent again. Who began to serve later does not "
            "know whether a predecessor did it: unless x-idempotent, it answers with the error unavailable."
        ),
        traceparent="W3C trace context; tracestate and baggage likewise.",
    ),
    "replyHeaders": _headers(
        Nats_Service_Error="Of an error: its first line, in ASCII, at most 200 characters.",
        Nats_Service_Error_Code="Of an error: its code. Whoever finds this header takes the body for an error.",
        Shoal_Gone="1, with an empty body: the server ends and broke off the work; the caller asks the next one.",
    ),
    "error": {
        "type": "object",
        "description": "Body of an error. Kinds and their codes are in x-wire.kinds.",
        "properties": {
            "kind": {"type": "string"},
            "message": {"type": "string"},
            "details": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["kind", "message"],
    },
    "kinds": {kind: error.code for kind, error in sorted(KINDS.items())},
    "started": (
        "Before it serves, an instance publishes {service, node, instance} on shoal.v1.signals.<service>.started: "
        "callers know that what a predecessor on that node worked on is gone. Discovery is NATS ADR-32 ($SRV.PING, "
        "INFO, STATS) with metadata.node; shoal.v1.<service>.contract is answered by this document."
    ),
    "refused": (
        "Where the broker refuses an answer (its configuration was read anew since the question came), the server "
        "publishes {subject}, in lower case, on shoal.v1.signals.<service>.refused: who waits there asks again under "
        "the same Shoal-Request-Id, and gets the answer that was made."
    ),
}
RECORDS: dict[str, Any] = {
    "description": (
        "A record is a key of a JetStream key-value bucket: the message on subject $KV.<bucket>.<key>. The stars of a "
        "pattern stand for parts, each one token: bytes of its UTF-8 other than [-/_a-zA-Z0-9] are written =XX, two "
        "upper-case hexadecimal digits (docker.io/library/a:1 is docker=2Eio/library/a=3A1)."
    ),
    "envelope": {
        "type": "object",
        "description": "Every value; `object` is the record.",
        "properties": {
            "schema": {"const": 1},
            "written_by": {"type": "string", "description": "the service that wrote it"},
            "at": {"type": "integer", "description": "when, in nanoseconds since 1970"},
            "traceparent": {"type": "string", "description": "trace of the write"},
            "object": {"type": "object"},
        },
        "required": ["schema", "written_by", "at", "object"],
    },
    "writeHeaders": _headers(
        Nats_Expected_Last_Subject_Sequence=(
            "The revision that was read, 0 for a record that must not exist: every write is a compare-and-set, and "
            "only the owner of a pattern writes there."
        ),
        Nats_Msg_Id="Another one for each write, the same when it is sent again.",
        Nats_Rollup="sub: what a write replaces goes with it.",
    ),
    "removal": (
        "An empty message with the headers KV-Operation: PURGE, Nats-Rollup: sub and Nats-TTL: 300s. A message with "
        "KV-Operation or Nats-Marker-Reason is no record."
    ),
}
