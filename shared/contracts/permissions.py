"""Broker permissions of each engine service, generated from the contracts: nothing undeclared can be sent or heard.

The form is that of nats-server's `authorization.users[].permissions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from shared.contracts.base import AGREED, BUCKET, DESCRIBE_OPERATION, ROOT, Contract, Endpoint
from shared.contracts.common import StreamOffer

STREAMS = ("KV_shoal", "KV_shoal_cluster", "SHOAL_EVENTS", "SHOAL_SPANS")
HUB_API = "$JS.hub.API"
"""JetStream's API of the hubs, see `shared.cluster`."""
_AGREED = ("$JS.API", HUB_API)
"""Who may keep what is agreed on: this host's own broker, or the hubs."""
OTHERS_API = "$JS.*.API"
"""That of any other host: its domain is its node id."""
_KEEPING = ("CREATE", "INFO", "UPDATE")
RESPONSES = {"max": 1, "expires": "8760h"}
"""A request may be answered once, however long it takes. (The broker forgets a permission only when it is used up.)"""


def permissions(contract: Contract, contracts: Mapping[str, Contract]) -> dict[str, Any]:
    """What the holder of this contract may publish and subscribe to."""
    publish = _common_publish(contract) | _calls(contract, contracts) | _writes(contract) | _reads(contract)
    publish |= {f"{event.subject}.>" if event.kept else event.subject for event in contract.events}
    publish |= {f"{ROOT}.signals.{name}.started" for name in contract.drivers}
    if "events.*" in contract.hears:
        publish |= {f"{api}.DIRECT.GET.SHOAL_EVENTS" for api in ("$JS.API", OTHERS_API)}
    served, taken = _served_streams(contract.name), _taken_streams(_reachable(contract, contracts))
    return {
        "publish": {"allow": sorted(publish | served["publish"] | taken["publish"])},
        "subscribe": {"allow": sorted(_subscribe(contract, contracts) | served["subscribe"] | taken["subscribe"])},
        "allow_responses": RESPONSES,
    }


def _common_publish(contract: Contract) -> set[str]:
    return {
        f"{ROOT}.spans",
        *(f"{ROOT}.signals.{contract.name}.{signal}" for signal in ("started", "refused")),
        *(f"$JS.API.STREAM.CREATE.{name}" for name in STREAMS),
        *(f"{HUB_API}.STREAM.{verb}.KV_{AGREED}" for verb in _KEEPING if contract.keeps_agreed),
        *({f"$SRV.PING.{contract.name}"} if _has_peers(contract) else ()),
    }


def _has_peers(contract: Contract) -> bool:
    """Whether it calls its own kind on other hosts, which it finds by the broker's discovery."""
    return any(call.partition(".")[0] == contract.name for call in contract.calls)


def _calls(contract: Contract, contracts: Mapping[str, Contract]) -> set[str]:
    return {_subject(endpoint) for call in contract.calls for endpoint in _called(call, contracts)}


def _called(call: str, contracts: Mapping[str, Contract]) -> list[Endpoint[Any, Any]]:
    """`image_store.*` is every endpoint of a service."""
    service, _, operation = call.partition(".")
    return [endpoint for endpoint in contracts[service].endpoints if operation in ("*", endpoint.operation)]


def _subject(endpoint: Endpoint[Any, Any]) -> str:
    return endpoint.subject("*" if endpoint.host_bound else "")


def _writes(contract: Contract) -> set[str]:
    subjects = {f"$KV.{keys.bucket}.{keys.pattern}" for keys in contract.owns}
    subjects |= {f"{HUB_API}.$KV.{AGREED}.{keys.pattern}" for keys in contract.owns if keys.bucket == AGREED}
    for keys in contract.owns:
        subjects |= _watching(keys.bucket, keys.pattern)
        if keys.bucket == AGREED:  # the last of a whole family is asked for by the stream's name alone
            subjects.add(f"$JS.API.DIRECT.GET.KV_{AGREED}")
    return subjects


def _reads(contract: Contract) -> set[str]:
    subjects: set[str] = set()
    for pattern in contract.reads:
        subjects |= _watching(BUCKET, pattern) | _watching(BUCKET, pattern, OTHERS_API)
        subjects.add(f"{OTHERS_API}.DIRECT.GET.KV_{BUCKET}")  # for the last of a whole family
    for pattern in contract.reads_agreed:
        subjects |= _watching(AGREED, pattern)
    return subjects


def _watching(bucket: str, pattern: str, *more: str) -> set[str]:
    """Reading a family: get by key, and make, and answer the flow control of, a watch on the bucket."""
    tail = pattern[:-1] + ">" if pattern.endswith("*") else pattern
    verbs = [f"DIRECT.GET.KV_{bucket}.$KV.{bucket}.{tail}", f"CONSUMER.CREATE.KV_{bucket}.*"]
    if bucket == AGREED:
        verbs.append(f"STREAM.MSG.GET.KV_{bucket}")
    apis = (*(_AGREED if bucket == AGREED else _AGREED[:1]), *more)
    return {f"$JS.FC.KV_{bucket}.>"} | {f"{api}.{verb}" for api in apis for verb in verbs}


def _reachable(contract: Contract, contracts: Mapping[str, Contract]) -> set[str]:
    """The services it calls, and those they call: a stream's offer may be handed on."""
    found: set[str] = set()
    waiting = [contract.name]
    while waiting:
        called = {call.partition(".")[0] for call in contracts[waiting.pop()].calls} - found
        found |= called
        waiting += called
    return found if _streams_to_its_kind(contract, contracts) else found - {contract.name}


def _streams_to_its_kind(contract: Contract, contracts: Mapping[str, Contract]) -> bool:
    """Whether its own kind on other hosts offers it streams."""
    own = (call for call in contract.calls if call.partition(".")[0] == contract.name)
    return any(endpoint.reply is StreamOffer for call in own for endpoint in _called(call, contracts))


def _served_streams(name: str) -> dict[str, set[str]]:
    """The offering side of streams across hosts, see `shared.streams.remote`."""
    stem = f"{ROOT}.streams.{name}.*.*"
    return {"publish": {f"{stem}.out"}, "subscribe": {f"{stem}.ctl", f"{stem}.in"}}


def _taken_streams(services: Iterable[str]) -> dict[str, set[str]]:
    stems = [f"{ROOT}.streams.{name}.*.*" for name in services]
    publish = {f"{stem}.{way}" for stem in stems for way in ("ctl", "in")}
    return {"publish": publish, "subscribe": {f"{stem}.out" for stem in stems}}


def _subscribe(contract: Contract, contracts: Mapping[str, Contract]) -> set[str]:
    served = (contract, *(contracts[name] for name in contract.drivers))
    own = {_subject(endpoint) for each in served for endpoint in each.endpoints}
    heard = {_heard(name, contracts) for name in contract.hears}
    discovery = {
        f"$SRV.{verb}{tail}"
        for verb in ("PING", "INFO", "STATS")
        for tail in ("", *(f".{each.name}{instance}" for each in served for instance in ("", ".*")))
    }
    always = {
        f"_INBOX_{contract.name}.>",
        *(f"{ROOT}.signals.*.{signal}" for signal in ("started", "refused")),
        *(f"{ROOT}.{each.name}.{DESCRIBE_OPERATION}" for each in served),
    }
    return own | heard | discovery | always


def _heard(name: str, contracts: Mapping[str, Contract]) -> str:
    """`events.*` is every kept event; `platform.exited` one signal."""
    if name == "events.*":
        return f"{ROOT}.events.>"
    service = contracts[name.partition(".")[0]]
    return next(event.subject for event in service.events if event.name == name)


TOOL = {
    "publish": {
        "allow": [
            "$SRV.>",
            f"{ROOT}.>",
            *(f"$JS.API.DIRECT.GET.{name}" for name in STREAMS),
            f"{OTHERS_API}.DIRECT.GET.SHOAL_SPANS",
            *(f"$JS.API.STREAM.CREATE.{name}" for name in STREAMS),
            "$JS.API.STREAM.INFO.*",
            *_watching(BUCKET, "*"),
        ],
    },
    "subscribe": {
        "allow": ["_INBOX_tool.>", f"{ROOT}.signals.>", f"{ROOT}.events.>", f"{ROOT}.streams.*.*.*.*"],
    },
}
"""The operator's own identity (the `shoal` command): may call every engine service and read all records."""
