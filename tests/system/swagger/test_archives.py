"""Tags Container and Image: what changes, leaves or enters a container's files; limits and their use."""

import io
import tarfile

import pytest

from tests.support.engine import IMAGE, Engine, unique
from tests.support.swagger_walk import Caller

ABSENT = "no-such-container"
TAR = {"Content-Type": "application/x-tar"}


def archive(name: str) -> bytes:
    """A tar with one empty file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    return packed.getvalue()


def names(packed: bytes) -> list[str]:
    """What is in a tar."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        return tar.getnames()


@pytest.mark.provokes("ContainerArchiveInfo", 200, 400, 404)
@pytest.mark.provokes("ContainerArchive", 200, 400, 404)
def test_out(caller: Caller, created: str) -> None:
    info = caller.expect(200, "ContainerArchiveInfo", id=created, query={"path": "/etc/passwd"})
    assert "X-Docker-Container-Path-Stat" in info.headers
    packed = caller.expect(200, "ContainerArchive", id=created, query={"path": "/etc/passwd"}).body
    assert names(packed) == ["passwd"]
    for operation in ("ContainerArchiveInfo", "ContainerArchive"):
        caller.expect(400, operation, id=created, query={"path": ""})
        caller.expect(404, operation, id=created, query={"path": "/no/such/path"})
        caller.expect(404, operation, id=ABSENT, query={"path": "/"})


@pytest.mark.provokes("PutContainerArchive", 200, 400, 404)
@pytest.mark.provokes("ContainerChanges", 200, 404)
@pytest.mark.provokes("ContainerExport", 200, 404)
def test_in(caller: Caller, engine: Engine, created: str) -> None:
    query = {"path": "/tmp", "noOverwriteDirNonDir": "1", "copyUIDGID": "1"}
    caller.expect(200, "PutContainerArchive", id=created, query=query, data=archive("entered"), headers=TAR)
    changes = caller.expect(200, "ContainerChanges", id=created).json
    assert {"Path": "/tmp/entered", "Kind": 1} in changes
    exported = caller.expect(200, "ContainerExport", id=created).body
    assert "tmp/entered" in names(exported)
    caller.expect(400, "PutContainerArchive", id=created, query={"path": ""}, data=archive("x"), headers=TAR)
    caller.expect(404, "PutContainerArchive", id=created, query={"path": "/no/such"}, data=archive("x"), headers=TAR)
    closed = engine.ok("create", "--read-only", IMAGE, "true")
    caller.expect(400, "PutContainerArchive", id=closed, query={"path": "/"}, data=archive("x"), headers=TAR)
    for operation in ("ContainerChanges", "ContainerExport"):
        caller.expect(404, operation, id=ABSENT)


@pytest.mark.provokes("ImageCommit", 201, 404)
@pytest.mark.usefixtures("image_engine")
def test_commit(caller: Caller, created: str) -> None:
    query = {
        "container": created, "repo": unique("committed"), "tag": "v1", "comment": "c", "author": "a", "pause": True,
        "changes": "ENV A=1",
    }  # fmt: skip
    made = caller.expect(201, "ImageCommit", query=query, body={"Labels": {"x": "y"}}).json["Id"]
    config = caller.expect(200, "ImageInspect", name=made).json["Config"]
    assert "A=1" in config["Env"]
    caller.expect(404, "ImageCommit", query={"container": ABSENT}, body={})


@pytest.mark.provokes("ContainerStats", 200, 404)
@pytest.mark.provokes("ContainerUpdate", 200, 404)
def test_limits(caller: Caller, running: str) -> None:
    wanted = {"Memory": 64 << 20, "MemorySwap": -1, "RestartPolicy": {"Name": "no"}}
    caller.expect(200, "ContainerUpdate", id=running, body=wanted)
    shown = caller.expect(200, "ContainerStats", id=running, query={"stream": False, "one-shot": True}).json
    assert shown["memory_stats"]["limit"] == 64 << 20
    caller.expect(404, "ContainerUpdate", id=ABSENT, body={})
    caller.expect(404, "ContainerStats", id=ABSENT, query={"stream": False})


def test_attestations(caller: Caller) -> None:
    if "ImageAttestations" in caller.api.operations:
        caller.expect(501, "ImageAttestations", name=IMAGE)
    assert caller.engine.call("GET", f"/v1.55/images/{IMAGE}/attestations").status == 501
