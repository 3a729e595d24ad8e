"""Requests by operation id, whose answers are judged by the swagger file of the version asked.

What dockerd itself does otherwise than its swagger says is in `DEVIATIONS`, each with its reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from tests.support.engine import Answer, Engine
from tools.docker_api.swagger import Api, Operation, Schema
from tools.docker_api.validate import Problem, problems

_ERROR: Schema = {"$ref": "#/definitions/ErrorResponse"}
_NIL = "Go's nil slices, maps and pointers are null"
DEVIATIONS: tuple[tuple[str, str, str], ...] = (
    # operation, path and text of the problem (whole, as regular expressions), why
    (
        "ContainerInspect",
        r"\$\.HostConfig\.(DeviceCgroupRules|DeviceRequests|MemorySwappiness|OomKillDisable|Binds|VolumesFrom|CapAdd"
        r"|CapDrop|ExtraHosts|GroupAdd|Links|SecurityOpt|PidsLimit|Dns|DnsOptions|DnsSearch|Ulimits): null .*",
        _NIL,
    ),
    ("ContainerInspect", r"\$\.HostConfig\.DeviceRequests\[\]\.(DeviceIDs|Capabilities|Options): null .*", _NIL),
    ("ContainerInspect", r"\$\.Config\.(Volumes|Entrypoint|Cmd|OnBuild): null .*", _NIL),
    ("ContainerInspect", r"\$\.GraphDriver\.Data: null .*", "known only while the layer is prepared"),
    ("Container(List|Inspect)", r"\$.*\.Networks\{\}\.(Links|Aliases|DNSNames|IPAMConfig): null .*", _NIL),
    ("ContainerPrune", r"\$\.ContainersDeleted: null .*", _NIL),
    ("ContainerStats", r"\$\.blkio_stats\..*: null .*", _NIL),
    ("ContainerUpdate", r"\$\.Warnings: null .*", _NIL),
    ("ImageList", r"\$\[\]\.Labels: null .*", _NIL),
    ("ImageInspect", r"\$\.Config\.(Volumes|Entrypoint|Labels|Cmd|Env|OnBuild): null .*", _NIL),
    ("ImageHistory", r"\$\[\]\.Tags: null .*", _NIL),
    ("ImagePrune", r"\$\.ImagesDeleted: null .*", _NIL),
    ("Network(List|Inspect)", r"\$.*\.IPAM\.Options: null .*", _NIL),
    ("NetworkList", r"\$\[\]\.Containers: is not in the schema", "an empty map is told, as dockerd does"),
    ("NetworkPrune", r"\$\.NetworksDeleted: null .*", _NIL),
    ("Volume(List|Inspect|Create)", r"\$.*\.(Options|Warnings|Labels): null .*", _NIL),
    ("VolumePrune", r"\$\.VolumesDeleted: null .*", _NIL),
    (
        "SystemInfo",
        r"\$\.(Plugins\.Authorization|Warnings|RegistryConfig\.Mirrors|GenericResources"
        r"|Swarm\.RemoteManagers): null .*",
        _NIL,
    ),
    ("SystemDataUsage", r"\$\.(Images|ImageUsage\.Items)\[\]\.Labels: null .*", _NIL),
    (
        "SystemDataUsage",
        r"\$.*\.Networks\{\}\.(Links|Aliases|DNSNames): null .*|\$.*\[\]\.(Options|Labels): null .*",
        _NIL,
    ),
    (
        "SystemDataUsage",
        r"\$\.(LayersSize|Images|Containers|Volumes|BuildCache): is not in the schema",
        "kept beside the new totals for clients that take the newest version",
    ),
    ("SystemEvents", r"\$\.(status|id|from): is not in the schema", "told until 1.51, in no swagger"),
    ("ContainerInspect", r"\$\.HostConfig\.(MaskedPaths|ReadonlyPaths): null .*", "of a privileged container"),
    ("ExecInspect", r"\$\.ExitCode: null .*", "not ended"),
)
"""Keep it short: each row is a place where a client that trusts the swagger is wrong about every Docker engine."""


class Caller:
    """Speaks one version of the API."""

    def __init__(self, engine: Engine, api: Api) -> None:
        self.engine, self.api = engine, api
        self.provoked: set[tuple[str, int]] = set()

    def call(
        self,
        id: str,
        /,
        *,
        query: Mapping[str, Any] | None = None,
        body: object = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **path: str,
    ) -> Answer:
        """One request. Flags and numbers of the query go as Docker's clients send them; lists are repeated."""
        operation = self.api.operations[id]
        target = self.target(operation, query or {}, path)
        return self.engine.call(operation.method, target, body, data=data, headers=headers)

    def target(self, operation: Operation, query: Mapping[str, Any], path: Mapping[str, str]) -> str:
        where = operation.path
        for name, value in path.items():
            where = where.replace(f"{{{name}}}", quote(value, safe="/:"))
        sent = {name: _sent(value) for name, value in query.items()}
        return f"/v{self.api.version}{where}" + (f"?{urlencode(sent, doseq=True)}" if sent else "")

    def expect(self, status: int, id: str, /, **request: Any) -> Answer:
        """The answer, which has this status and is as the swagger describes it."""
        answer = self.call(id, **request)
        assert answer.status == status, f"{id}: {answer.status} {answer.body[:500]!r}, expected {status}"
        self.judge(id, answer)
        return answer

    def judge(self, id: str, answer: Answer) -> None:
        """Asserts that an answer is one that the swagger documents."""
        operation = self.api.operations[id]
        self.provoked.add((id, answer.status))
        wrong = [*_wrong(self.api, operation, answer)]
        assert not wrong, f"{id} {self.api.version} {answer.status}: " + "; ".join(wrong)


def _sent(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return json.dumps(value) if isinstance(value, dict) else value


def _wrong(api: Api, operation: Operation, answer: Answer) -> Iterator[str]:
    if answer.status in (204, 304) or operation.method == "HEAD":
        if answer.body:
            yield f"a body: {answer.body[:100]!r}"
        return
    schema = operation.responses.get(answer.status)
    if answer.status >= 400:
        schema = _ERROR
    if schema is None or schema.get("format") == "binary" or "application/json" not in operation.produces:
        return
    if not answer.headers.get("Content-Type", "").startswith("application/json"):
        yield f"Content-Type {answer.headers.get('Content-Type')}"
    lines = answer.body.splitlines() if operation.id == "SystemEvents" else [answer.body]
    for problem in dict.fromkeys(each for line in lines for each in problems(api, schema, json.loads(line))):
        if not _known(operation.id, problem):
            yield str(problem)


def _known(id: str, problem: Problem) -> bool:
    return any(re.fullmatch(operation, id) and re.fullmatch(text, str(problem)) for operation, text, _ in DEVIATIONS)
