"""Sends generated requests to an engine and judges each answer: no 5xx, no hang, errors in Docker's form."""

from __future__ import annotations

import http.client
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tools.bench.client import UnixConnection

from .deviations import wrong
from .generate import Generator, Request
from .hints import World
from .swagger import Api

HEAD_SECONDS = 30.0
"""An answer that has not begun by then counts as a hang: stopping waits ten seconds at most."""
STREAM_SECONDS = 0.2
"""How long a stream without end is read."""
STREAMS = frozenset((
    "ContainerAttach", "ContainerAttachWebsocket", "ContainerLogs", "ContainerStats", "ContainerWait", "ExecStart",
    "SystemEvents", "Session",
))  # fmt: skip
ALLOWED: tuple[tuple[int, str, str], ...] = (
    # status, operations (whole, as a regular expression), why
    (503, "(Swarm|Node|Service|Task|Secret|Config).*|VolumeUpdate|VolumeCreate", "outside a swarm"),
    (501, ".*", "README lists what is not there"),
    (500, "ImageCreate|ImagePush|ImageSearch|SystemAuth|DistributionInspect|ImageBuild|Plugin.*", "the registry's"),
    (502, "ImageCreate|ImagePush|ImageSearch|SystemAuth|DistributionInspect|ImageBuild|Plugin.*", "the registry's"),
    (503, "ImageCreate|ImagePush|ImageSearch|SystemAuth|DistributionInspect|ImageBuild|Plugin.*", "the registry's"),
)
MOST_CONTAINERS = 25
REFRESH = 50


@dataclass
class Finding:
    """One request that was not answered as it should be."""

    number: int
    request: Request
    text: str


@dataclass
class Report:
    """What a campaign saw: how often each status, and what was wrong."""

    statuses: Counter[int] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


def run(path: str, apis: Sequence[Api], seed: int, numbers: range, world: World, without: Sequence[str] = ()) -> Report:
    """The requests of these numbers, one after the other; what they made is removed at the end."""
    report = Report()
    archive = exchange(path, Request("", "GET", f"/images/{world.image}/get"))[2]
    generators = [Generator(api, seed, world, without) for api in apis]
    for number in numbers:
        if number % REFRESH == 0:
            restore(path, world, archive)
            refresh(path, world)
        generator, api = generators[number % len(apis)], apis[number % len(apis)]
        request = generator.request(number)
        try:
            status, headers, body = exchange(path, request)
        except TimeoutError:
            report.findings.append(Finding(number, request, f"no answer within {HEAD_SECONDS:.0f} s"))
            continue
        except (OSError, http.client.HTTPException) as error:
            report.findings.append(Finding(number, request, f"connection: {error!r}"))
            continue
        report.statuses[status] += 1
        learn(world, request, status, body)
        version_asked = request.target.split("/")[1].removeprefix("v")
        judged = version_asked == api.version and request.operation not in STREAMS
        report.findings += (
            Finding(number, request, f"{status} {text}")
            for text in judge(api if judged else None, request, status, headers, body)
        )
    restore(path, world, archive)
    sweep(path, world)
    return report


def judge(api: Api | None, request: Request, status: int, headers: dict[str, str], body: bytes) -> Iterator[str]:
    """What is wrong with an answer; `api` judges its content."""
    if status >= 500 and not _allowed(status, request.operation):
        yield body[:300].decode(errors="replace")
    elif status >= 400 and request.method != "HEAD":
        try:
            message = json.loads(body)["message"]
        except (ValueError, KeyError, TypeError):
            yield f"no error of Docker's form: {body[:300]!r}"
            return
        if not message or "Traceback" in message or re.search(r"internal error \w{12}", message):
            yield f"a message that helps nobody: {message!r}"
    elif api is not None and status < 300:
        yield from wrong(api, api.operations[request.operation], status, headers, body)


def _allowed(status: int, operation: str) -> bool:
    return any(status == code and re.fullmatch(operations, operation) for code, operations, _ in ALLOWED)


def exchange(path: str, request: Request) -> tuple[int, dict[str, str], bytes]:
    """The answer, whole unless it is a stream. Raises `TimeoutError` when none begins in time."""
    connection = UnixConnection(path)
    try:
        connection.connect()
        stream = connection.sock  # http.client forgets it when an answer ends with its connection
        stream.settimeout(HEAD_SECONDS)
        connection.request(request.method, request.target, request.body, request.headers)
        answer = connection.getresponse()
        if request.operation in STREAMS and answer.status < 300:
            stream.settimeout(STREAM_SECONDS)
            body = _begin(answer)
        else:
            body = answer.read()
        return answer.status, dict(answer.getheaders()), body
    finally:
        connection.close()


def _begin(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(1 << 16)
    except (TimeoutError, http.client.IncompleteRead, ConnectionError):
        return b""
    finally:
        answer.close()


_MADE = {
    "ContainerCreate": "containers",
    "NetworkCreate": "networks",
    "ContainerExec": "exec",
    "VolumeCreate": "volumes",
}


def learn(world: World, request: Request, status: int, body: bytes) -> None:
    """Remembers what a request has made."""
    if status == 201 and request.operation in _MADE:
        made = json.loads(body)
        names = world.names[_MADE[request.operation]]
        names.append(made.get("Id") or made["Name"])
        del names[:-20]


def restore(path: str, world: World, archive: bytes) -> None:
    """The image is there again, should a request have removed it."""
    if exchange(path, Request("", "GET", f"/images/{world.image}/json"))[0] == 404:
        exchange(path, Request("", "POST", "/images/load", {"Content-Type": "application/x-tar"}, archive))


def refresh(path: str, world: World) -> None:
    """Names what there is now, and removes the oldest containers when there are many."""
    containers = [each["Id"] for each in _get(path, "/containers/json?all=1")]
    for id in containers[MOST_CONTAINERS:]:
        _delete(path, f"/containers/{id}?force=1&v=1")
    world.names["containers"] = containers[:MOST_CONTAINERS]
    world.names["networks"] = [each["Name"] for each in _get(path, "/networks")]
    world.names["volumes"] = [each["Name"] for each in _get(path, "/volumes")["Volumes"] or []]
    world.names["images"] = [name for each in _get(path, "/images/json") for name in each["RepoTags"] or [each["Id"]]]


def sweep(path: str, world: World) -> None:
    """Removes all containers, networks, volumes and images but the one that was there."""
    for container in _get(path, "/containers/json?all=1"):
        _delete(path, f"/containers/{container['Id']}?force=1&v=1")
    for network in _get(path, "/networks"):
        if network["Name"] not in ("bridge", "host", "none"):
            _delete(path, f"/networks/{network['Id']}")
    for volume in _get(path, "/volumes")["Volumes"] or []:
        _delete(path, f"/volumes/{volume['Name']}?force=1")
    for image in _get(path, "/images/json?all=1"):
        for name in image["RepoTags"] or [image["Id"]]:
            if name != f"{world.image}:latest":
                _delete(path, f"/images/{name}?force=1")


def _get(path: str, target: str) -> Any:
    return json.loads(exchange(path, Request("", "GET", target))[2])


def _delete(path: str, target: str) -> None:
    exchange(path, Request("", "DELETE", target))
