"""Broker permissions of each engine service, generated from the contracts: nothing undeclared can be sent or heard.

The form is that of nats-server's `authorization.users[].permissions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.contracts.base import BUCKET, DESCRIBE_OPERATION, ROOT, Contract

STREAMS = ("KV_shoal", "KV_shoal_leases", "SHOAL_EVENTS", "SHOAL_SPANS")


def permissions(contract: Contract, contracts: Mapping[str, Contract]) -> dict[str, Any]:
    """What the holder of this contract may publish and subscribe to."""
    publish = _common_publish(contract) | _calls(contract, contracts) | _writes(contract) | _reads(contract)
    publish |= {f"{event.subject}.>" if event.kept else event.subject for event in contract.events}
    if "events.*" in contract.hears:
        publish.add("$JS.API.DIRECT.GET.SHOAL_EVENTS")
    return {
        "publish": {"allow": sorted(publish)},
        "subscribe": {"allow": sorted(_subscribe(contract, contracts))},
        "allow_responses": {"max": 1_000_000, "expires": "24h"},
    }


def _common_publish(contract: Contract) -> set[str]:
    return {
        f"{ROOT}.spans",
        f"{ROOT}.signals.{contract.name}.started",
        f"{ROOT}.streams.>",
        *(f"$JS.API.STREAM.CREATE.{name}" for name in STREAMS),
    }


def _calls(contract: Contract, contracts: Mapping[str, Contract]) -> set[str]:
    subjects: set[str] = set()
    for call in contract.calls:
        service, _, operation = call.partition(".")
        for endpoint in contracts[service].endpoints:
            if operation in ("*", endpoint.operation):
                subjects.add(endpoint.subject("*" if endpoint.host_bound else ""))
    return subjects


def _writes(contract: Contract) -> set[str]:
    subjects = {f"$KV.{keys.bucket}.{keys.pattern}" for keys in contract.owns}
    for keys in contract.owns:
        subjects |= _watching(keys.bucket, keys.pattern)
    return subjects


def _reads(contract: Contract) -> set[str]:
    subjects: set[str] = set()
    for pattern in contract.reads:
        subjects |= _watching(BUCKET, pattern)
    return subjects


def _watching(bucket: str, pattern: str) -> set[str]:
    """Reading a family: get by key, and make, and answer the flow control of, a watch on the bucket."""
    tail = pattern[:-1] + ">" if pattern.endswith("*") else pattern
    return {
        f"$JS.API.DIRECT.GET.KV_{bucket}.$KV.{bucket}.{tail}",
        f"$JS.API.CONSUMER.CREATE.KV_{bucket}.>",
        f"$JS.FC.KV_{bucket}.>",
    }


def _subscribe(contract: Contract, contracts: Mapping[str, Contract]) -> set[str]:
    own = {endpoint.subject("*" if endpoint.host_bound else "") for endpoint in contract.endpoints}
    heard = {_heard(name, contracts) for name in contract.hears}
    discovery = {
        f"$SRV.{verb}{tail}"
        for verb in ("PING", "INFO", "STATS")
        for tail in ("", f".{contract.name}", f".{contract.name}.*")
    }
    return (
        own
        | heard
        | discovery
        | {
            f"_INBOX_{contract.name}.>",
            f"{ROOT}.signals.*.started",
            f"{ROOT}.streams.>",
            f"{ROOT}.{contract.name}.{DESCRIBE_OPERATION}",
        }
    )


def _heard(name: str, contracts: Mapping[str, Contract]) -> str:
    """`events.*` is every kept event; `platform.exited` one signal."""
    if name == "events.*":
        return f"{ROOT}.events.>"
    service = contracts[name.partition(".")[0]]
    return next(event.subject for event in service.events if event.name == name)


TOOL = {
    "publish": {
        "allow": ["$SRV.>", f"{ROOT}.>", *(f"$JS.API.DIRECT.GET.{name}" for name in STREAMS),
                  *(f"$JS.API.STREAM.CREATE.{name}" for name in STREAMS), "$JS.API.STREAM.INFO.*"],
    },
    "subscribe": {"allow": ["_INBOX_tool.>", f"{ROOT}.signals.*.started"]},
    "allow_responses": True,
}  # fmt: skip
"""The operator's own identity (the `shoal` command): may call every engine service and read events and spans."""
