"""Where dockerd does otherwise than its swagger says, and this engine does as dockerd."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from .swagger import Api, Operation, Schema
from .validate import Problem, problems

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
    ("ContainerChanges", r"\$: null .*", _NIL),
    ("ImageInspect", r"\$\.(Parent|DockerVersion): is not in the schema", "told where an image has one"),
    ("BuildPrune", r"\$\.CachesDeleted: null .*", _NIL),
    ("ImageList", r"\$\[\]\.Labels: null .*", _NIL),
    ("ImageInspect", r"\$\.Config\.(Volumes|Entrypoint|Labels|Cmd|Env|OnBuild): null .*", _NIL),
    (
        "Image(List|Inspect)",
        r"\$.*Manifests\[\]\.ImageData\.UnpackedSize: is missing",
        "required and described nowhere: dockerd tells it as Size.Unpacked",
    ),
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


def wrong(api: Api, operation: Operation, status: int, headers: Mapping[str, str], body: bytes) -> Iterator[str]:
    """What about an answer is not as the swagger describes it, known deviations apart."""
    if status in (204, 304) or operation.method == "HEAD":
        if body:
            yield f"a body: {body[:100]!r}"
        return
    schema = _ERROR if status >= 400 else operation.responses.get(status)
    if schema is None or schema.get("format") == "binary" or "application/json" not in operation.produces:
        return
    if not headers.get("Content-Type", "").startswith("application/json"):
        yield f"Content-Type {headers.get('Content-Type')}"
    lines = body.splitlines() if operation.id == "SystemEvents" else [body]
    for problem in dict.fromkeys(each for line in lines for each in problems(api, schema, json.loads(line))):
        if not _known(operation.id, problem):
            yield str(problem)


def _known(id: str, problem: Problem) -> bool:
    return any(re.fullmatch(operation, id) and re.fullmatch(text, str(problem)) for operation, text, _ in DEVIATIONS)
