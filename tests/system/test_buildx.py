"""What buildx's docker-container driver asks of an engine: a container that it fills, starts and speaks to, and a load.

Its own program is not here: these are such calls, and `cat` stands for `buildctl dial-stdio`.
"""

from __future__ import annotations

import io
import json
import tarfile

from tests.support.engine import IMAGE, Engine, unique
from tools.bench.client import UPGRADE, receive_all, receive_head, request
from tools.images import Image, busybox_layer, entry, oci_layout, tar

SPOKEN = b"\0\0\0\4frames of another protocol" * 1000
FOLDER = "/etc/buildkit"


def payload(stream: bytes) -> bytes:
    """Docker's multiplexed stream without its headers."""
    parts, at = [], 0
    while at < len(stream):
        size = int.from_bytes(stream[at + 4 : at + 8], "big")
        assert stream[at] == 1, stream[at : at + 200]
        parts.append(stream[at + 8 : at + 8 + size])
        at += 8 + size
    return b"".join(parts)


def test_the_docker_container_driver(engine: Engine) -> None:
    name = unique("buildx_buildkit_builder")
    assert engine.call("GET", f"/images/{IMAGE}/json").status == 200
    body = {
        "Image": IMAGE,
        "Cmd": ["sh", "-c", f"test -s {FOLDER}/buildkitd.toml && exec sleep 1000"],
        "HostConfig": {
            "Privileged": True, "Init": True, "CgroupParent": "/docker/buildx", "UsernsMode": "host",
            "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
            "Mounts": [{"Type": "volume", "Source": f"{name}_state", "Target": "/var/lib/buildkit"}],
        },
    }  # fmt: skip
    made = engine.call("POST", f"/containers/create?name={name}", body)
    assert made.status == 201, made.message
    settings = tar([entry(f"{FOLDER[1:]}/buildkitd.toml", b"debug = true\n")])
    assert engine.call("PUT", f"/containers/{name}/archive?path=/", data=settings).status == 200
    assert engine.call("POST", f"/containers/{name}/start").status == 204
    assert engine.call("GET", f"/containers/{name}/json").json["State"]["Running"] is True
    assert spoken(engine, name) == SPOKEN
    stopped = engine.call("POST", f"/containers/{name}/stop?t=0")
    assert stopped.status == 204, stopped.message
    assert engine.call("DELETE", f"/containers/{name}?v=1&force=1").status == 204
    assert engine.call("DELETE", f"/volumes/{name}_state?force=1").status == 204


def spoken(engine: Engine, name: str) -> bytes:
    """What comes back of `SPOKEN` by an exec that passes on both directions, as the driver's connection does."""
    exec_ = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True, "Cmd": ["cat"]}
    identity = engine.call("POST", f"/containers/{name}/exec", exec_).json["Id"]
    with engine.raw() as connection:
        start = {"Detach": False, "Tty": False}
        connection.sendall(request("POST", f"/exec/{identity}/start", UPGRADE, start))
        head, _, early = receive_head(connection).partition(b"\r\n\r\n")
        assert b" 101 " in head, head
        connection.sendall(SPOKEN)
        connection.shutdown(1)
        stream = early + receive_all(connection)
    assert engine.call("GET", f"/exec/{identity}/json").json["ExitCode"] == 0
    return payload(stream)


def test_what_it_loads(engine: Engine) -> None:
    """`--load`: the exporter `docker` gives an archive with the manifest of both forms."""
    name = unique("built")
    image = Image((busybox_layer(),), {"Cmd": ["echo", "built"]}, (f"{name}:latest",))
    answer = engine.call("POST", "/images/load?quiet=1", data=both_forms(image))
    assert answer.status == 200, answer.message
    assert engine.run(f"{name}:latest") == "built"


def both_forms(image: Image) -> bytes:
    """An OCI layout with a `manifest.json` that names the same blobs."""
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(oci_layout(image))) as layout,
        tarfile.open(fileobj=out, mode="w") as archive,
    ):
        for member in layout:
            archive.addfile(member, layout.extractfile(member) if member.isfile() else None)
        index = json.load(layout.extractfile("index.json"))  # type: ignore[arg-type]
        blob = f"blobs/sha256/{index['manifests'][0]['digest'][7:]}"
        manifest = json.load(layout.extractfile(blob))  # type: ignore[arg-type]
        named = [{
            "Config": f"blobs/sha256/{manifest['config']['digest'][7:]}", "RepoTags": list(image.tags),
            "Layers": [f"blobs/sha256/{layer['digest'][7:]}" for layer in manifest["layers"]],
        }]  # fmt: skip
        data = json.dumps(named).encode()
        info = tarfile.TarInfo("manifest.json")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()
