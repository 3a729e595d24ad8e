"""Tag Image, without what needs a registry or a builder."""

import io
import tarfile

import pytest

from tests.support.engine import IMAGE, Engine, unique
from tests.support.swagger_walk import Caller

ABSENT = "no-such-image"


@pytest.mark.provokes("ImageList", 200)
def test_list(caller: Caller) -> None:
    query = {"all": True, "shared-size": True, "digests": True, "filters": {"reference": [IMAGE]}}
    assert len(caller.expect(200, "ImageList", query=query).json) == 1


@pytest.mark.provokes("ImageInspect", 200, 404)
@pytest.mark.provokes("ImageHistory", 200, 404)
def test_inspect_and_history(caller: Caller) -> None:
    for operation in ("ImageInspect", "ImageHistory"):
        caller.expect(200, operation, name=IMAGE)
        caller.expect(404, operation, name=ABSENT)


@pytest.mark.provokes("ImageTag", 201, 400, 404)
@pytest.mark.provokes("ImageDelete", 200, 404, 409)
@pytest.mark.usefixtures("image_engine")
def test_tag_and_remove(caller: Caller, created: str) -> None:
    name = unique("again")
    caller.expect(201, "ImageTag", name=IMAGE, query={"repo": name, "tag": "v1"})
    caller.expect(400, "ImageTag", name=IMAGE, query={"repo": "UPPER", "tag": "v1"})
    caller.expect(404, "ImageTag", name=ABSENT, query={"repo": name, "tag": "v1"})
    assert caller.expect(200, "ImageDelete", name=f"{name}:v1").json == [{"Untagged": f"{name}:v1"}]
    caller.expect(409, "ImageDelete", name=IMAGE)
    caller.expect(404, "ImageDelete", name=ABSENT)


@pytest.mark.provokes("ImagePrune", 200)
def test_prune(caller: Caller) -> None:
    caller.expect(200, "ImagePrune", query={"filters": {"dangling": ["true"], "until": ["1h"]}})


@pytest.mark.provokes("ImageGet", 200)
@pytest.mark.provokes("ImageGetAll", 200)
@pytest.mark.provokes("ImageLoad", 200)
def test_save_and_load(caller: Caller) -> None:
    one = caller.expect(200, "ImageGet", name=IMAGE).body
    assert caller.expect(200, "ImageGetAll", query={"names": [IMAGE]}).body[:100] == one[:100]
    loaded = caller.expect(
        200, "ImageLoad", data=one, headers={"Content-Type": "application/x-tar"}, query={"quiet": True}
    )
    assert f"Loaded image: {IMAGE}:latest".encode() in loaded.body


@pytest.mark.provokes("ImageCreate", 200)
@pytest.mark.usefixtures("image_engine")
def test_import(caller: Caller) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("file"))
    query = {"fromSrc": "-", "repo": unique("imported"), "tag": "v1", "message": "hello", "changes": ["ENV A=1"]}
    made = caller.expect(200, "ImageCreate", query=query, data=archive.getvalue())
    assert b"sha256:" in made.body
    assert caller.expect(200, "ImageInspect", name=f"{query['repo']}:v1").json["Config"]["Env"] == ["A=1"]


def test_inspect_of_all_forms(caller: Caller, image_engine: Engine) -> None:
    for changes in (
        ["CMD true"],
        ['ENTRYPOINT ["a"]', "USER u", "WORKDIR /w", "EXPOSE 80", "VOLUME /v"],
        ["LABEL a=b"],
    ):
        query = {"fromSrc": "-", "repo": unique("form"), "changes": changes}
        archive = io.BytesIO()
        tarfile.open(fileobj=archive, mode="w").close()
        caller.expect(200, "ImageCreate", query=query, data=archive.getvalue())
        caller.expect(200, "ImageInspect", name=str(query["repo"]))
        caller.expect(200, "ImageHistory", name=str(query["repo"]))
    assert len(caller.expect(200, "ImageList").json) == 4
