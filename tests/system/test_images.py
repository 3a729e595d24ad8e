"""load, save, import, images, tag, rmi, history, image inspect, prune."""

import io
import json
import re
import tarfile
from pathlib import Path

import pytest

from tests.support.engine import IMAGE, Engine, unique
from tests.support.website import website
from tools.images import CREATED, Compression, Image, busybox, digest, docker_archive, entry, oci_layout, tar


@pytest.fixture
def engine(image_engine: Engine) -> Engine:
    return image_engine


def small(*tags: str, content: bytes = b"x") -> Image:
    """An image of one file; its id depends on the content."""
    config = {"Cmd": ["/file"], "Labels": {"made": "here"}, "ExposedPorts": {"80/tcp": {}}, "User": "alice"}
    return Image((tar([entry("file", content)]),), config, tags)


def runnable(tag: str) -> Image:
    """One that runs, other than the image of all tests: what that is saved as must not depend on how this came."""
    base = busybox()
    return Image((*base.layers, tar([entry("name", tag.encode())])), base.config, (tag,))


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_load_of_a_docker_archive(engine: Engine, compression: Compression) -> None:
    tag = f"{unique('loaded')}:1"
    image = small(tag, content=compression.encode())
    assert engine.ok("load", input=docker_archive(image, compression)) == f"Loaded image: {tag}"
    assert engine.call("GET", f"/images/{tag}/json").json["Id"] == image.id


@pytest.mark.beyond_reference("dockerd 20.10 knows neither OCI layouts nor zstd")
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_load_of_an_oci_layout(engine: Engine, compression: Compression) -> None:
    tag = f"{unique('layout')}:1"
    assert engine.ok("load", input=oci_layout(runnable(tag), compression)).startswith("Loaded image: ")
    assert engine.run(tag, "echo", "works") == "works"


@pytest.mark.beyond_reference("dockerd 20.10 knows no zstd")
def test_load_of_zstd_layers_in_a_docker_archive(engine: Engine) -> None:
    tag = f"{unique('loaded')}:1"
    engine.ok("load", input=docker_archive(runnable(tag), "zstd"))
    assert engine.run(tag, "echo", "works") == "works"


def test_load_of_a_compressed_archive_from_a_file(engine: Engine, tmp_path: Path) -> None:
    import gzip

    tag = f"{unique('loaded')}:1"
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(docker_archive(small(tag))))
    assert engine.ok("load", "-i", str(tmp_path / "a.tar.gz")) == f"Loaded image: {tag}"


def test_load_without_a_tag_tells_the_id(engine: Engine) -> None:
    image = small(content=b"untagged")
    assert engine.ok("load", input=docker_archive(image)) == f"Loaded image ID: {image.id}"
    assert "<none>" in engine.ok("images", "-a", "--filter", "dangling=true")


def test_load_moves_a_tag(engine: Engine) -> None:
    tag = f"{unique('moved')}:1"
    for content in (b"old", b"new"):
        engine.ok("load", input=docker_archive(small(tag, content=content)))
    assert engine.call("GET", f"/images/{tag}/json").json["Id"] == small(tag, content=b"new").id
    old = engine.call("GET", f"/images/{small(tag, content=b'old').id}/json")
    assert old.json["RepoTags"] == []


def test_image_of_layers(engine: Engine) -> None:
    """Later layers hide, remove (whiteout) and empty (opaque) what earlier ones brought."""
    tag = f"{unique('layers')}:1"
    first = tar([entry("d/gone", b"1"), entry("d/kept", b"1"), entry("o/hidden", b"1"), entry("changed", b"1")])
    second = tar([entry("d/.wh.gone"), entry("o/.wh..wh..opq"), entry("o/shown", b"2"), entry("changed", b"2")])
    image = Image((*busybox().layers, first, second), {"Cmd": ["sh"]}, (tag,))
    engine.ok("load", input=docker_archive(image))
    assert engine.run(tag, "sh", "-c", "ls -A /d /o; cat /changed") == "/d:\nkept\n\n/o:\nshown\n2"
    assert len(engine.ok("history", "-q", tag).split()) == 3


def member(data: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        file = archive.extractfile(name)
        assert file is not None
        return file.read()


def test_save_and_load_again(engine: Engine) -> None:
    tag = f"{unique('saved')}:1"
    engine.ok("tag", IMAGE, tag)
    data = engine.docker_bytes("save", tag).stdout
    manifest = json.loads(member(data, "manifest.json"))
    assert manifest[0]["RepoTags"] == [tag]
    assert digest(member(data, manifest[0]["Config"])) == engine.call("GET", f"/images/{tag}/json").json["Id"]
    assert digest(member(data, manifest[0]["Layers"][0])) == digest(busybox().layers[0])
    engine.ok("rmi", tag)
    assert engine.ok("load", input=data) == f"Loaded image: {tag}"
    assert engine.run(tag, "echo", "x") == "x"


@pytest.mark.beyond_reference("since 25.0")
def test_save_writes_an_oci_layout_too(engine: Engine) -> None:
    data = engine.docker_bytes("save", IMAGE).stdout
    assert json.loads(member(data, "oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads(member(data, "index.json"))
    manifest = json.loads(member(data, f"blobs/sha256/{index['manifests'][0]['digest'][7:]}"))
    assert digest(member(data, f"blobs/sha256/{manifest['config']['digest'][7:]}")) == manifest["config"]["digest"]


def test_save_of_several(engine: Engine, tmp_path: Path) -> None:
    names = [f"{unique('many')}:1" for _ in range(2)]
    for name in names:
        engine.ok("load", input=docker_archive(small(name, content=name.encode())))
    engine.ok("save", "-o", str(tmp_path / "all.tar"), *names)
    manifest = json.loads(member((tmp_path / "all.tar").read_bytes(), "manifest.json"))
    assert sorted(each["RepoTags"][0] for each in manifest) == sorted(names)


def test_save_by_id_has_no_tag(engine: Engine) -> None:
    manifest = json.loads(member(engine.docker_bytes("save", busybox().id).stdout, "manifest.json"))
    assert not manifest[0]["RepoTags"]


def test_import(engine: Engine) -> None:
    tag = f"{unique('imported')}:1"
    data = tar([entry("bin/app", b"#!x", mode=0o755)])
    changes = ["-c", "ENV A=b", "-c", 'CMD ["/bin/app"]', "-c", "WORKDIR /w", "-c", "USER alice", "-c", "EXPOSE 80"]
    identity = engine.ok("import", *changes, "-m", "a message", "-", tag, input=data)
    assert re.fullmatch("sha256:[0-9a-f]{64}", identity)
    found = engine.call("GET", f"/images/{tag}/json").json
    config = found["Config"]
    assert (found["Id"], found["Comment"], found["Os"]) == (identity, "a message", "linux")
    assert (config["Cmd"], config["WorkingDir"], config["User"]) == (["/bin/app"], "/w", "alice")
    assert "A=b" in config["Env"]
    assert config["ExposedPorts"] == {"80/tcp": {}}
    assert found["RootFS"]["Layers"] == [digest(data)]


def test_import_from_a_url(engine: Engine) -> None:
    tag = f"{unique('imported')}:1"
    with website({"/root.tar": busybox().layers[0]}, engine.netns) as url:
        engine.ok("import", f"{url}/root.tar", tag)
        refused = engine.docker("import", f"{url}/none")
    assert engine.run(tag, "busybox", "echo", "came by URL") == "came by URL"
    assert engine.call("GET", f"/images/{tag}/json").json["Comment"] == f"Imported from {url}/root.tar"
    assert (refused.code, "404 Not Found" in refused.err) == (1, True)


def test_import_of_a_root_file_system_runs(engine: Engine) -> None:
    tag = f"{unique('imported')}:1"
    engine.ok("import", "-", tag, input=busybox().layers[0])
    assert engine.run(tag, "/bin/echo", "runs") == "runs"


def test_images_listing(engine: Engine) -> None:
    engine.ok("tag", IMAGE, "other/name:2")
    lines = engine.ok("images", "--format", "{{.Repository}} {{.Tag}} {{.ID}} {{.Size}}").splitlines()
    short = busybox().id[7:19]
    assert sorted(line.rsplit(maxsplit=1)[0] for line in lines) == [f"busybox latest {short}", f"other/name 2 {short}"]
    assert {line.split()[-1] for line in lines} == {"1.98MB"} or all("MB" in line for line in lines)
    assert engine.ok("images", "-q", "--no-trunc", "other/name") == busybox().id
    assert engine.ok("images", "-q", "busybox:nope") == ""
    assert engine.ok("images", "-q", "--filter", "reference=oth*/*") == short
    assert engine.ok("images", "-q", "--filter", "reference=busy*:lat*") == short


def test_images_by_label_and_age(engine: Engine) -> None:
    engine.ok("load", input=docker_archive(small("labelled:1")))
    query = "{{.Repository}}"
    assert engine.ok("images", "--format", query, "--filter", "label=made=here") == "labelled"
    assert engine.ok("images", "--format", query, "--filter", "label=nope") == ""


def test_listing_in_the_api(engine: Engine) -> None:
    found = engine.call("GET", "/images/json").json[0]
    assert (found["Id"], found["RepoTags"]) == (busybox().id, ["busybox:latest"])
    assert found["Created"] == 1767225600
    assert found["Size"] == pytest.approx(len(busybox().layers[0]), rel=0.2)


def test_inspect(engine: Engine) -> None:
    image = small("seen:1")
    engine.ok("load", input=docker_archive(image))
    found = engine.call("GET", "/images/seen:1/json").json
    assert (found["Id"], found["RepoTags"], found["Created"]) == (image.id, ["seen:1"], CREATED)
    assert (found["Architecture"], found["Os"]) == ("amd64", "linux")
    assert (found["Config"]["Cmd"], found["Config"]["Labels"]) == (["/file"], {"made": "here"})
    assert found["RootFS"] == {"Type": "layers", "Layers": [digest(image.layers[0])]}
    for name in (image.id, image.id[7:19], "seen:1", "docker.io/library/seen:1"):
        assert engine.call("GET", f"/images/{name}/json").json["Id"] == image.id


def test_tag_and_remove(engine: Engine) -> None:
    engine.ok("tag", IMAGE, "a/b:c")
    engine.ok("tag", IMAGE, "localhost:5000/x")
    assert engine.call("GET", "/images/localhost:5000/x:latest/json").status == 200
    assert engine.ok("rmi", "a/b:c") == "Untagged: a/b:c"
    engine.ok("rmi", "localhost:5000/x")
    assert engine.call("GET", f"/images/{IMAGE}/json").json["RepoTags"] == ["busybox:latest"]


def test_remove_of_the_last_tag_deletes(engine: Engine) -> None:
    image = small("last:1", content=b"last")
    engine.ok("load", input=docker_archive(image))
    lines = engine.ok("rmi", "last:1").splitlines()
    assert lines[:2] == ["Untagged: last:1", f"Deleted: {image.id}"]
    assert lines[2:] in ([f"Deleted: {digest(image.layers[0])}"], [])
    assert engine.call("GET", f"/images/{image.id}/json").status == 404


def test_remove_by_id_with_several_tags(engine: Engine) -> None:
    image = small("one:1", "two:1", content=b"two tags")
    engine.ok("load", input=docker_archive(image))
    result = engine.docker("rmi", image.id[7:19])
    assert result.code == 1
    assert (
        f"unable to delete {image.id[7:19]} (must be forced) - image is referenced in multiple repositories"
        in result.err
    )
    engine.ok("rmi", "-f", image.id)
    assert engine.call("GET", "/images/one:1/json").status == 404


def test_remove_of_what_is_in_use(engine: Engine) -> None:
    engine.ok("load", input=docker_archive(busybox("used:1")))
    engine.ok("rmi", "used:1")
    identity = engine.start(IMAGE, "sleep", "100")
    result = engine.docker("rmi", IMAGE)
    assert result.code == 1
    assert (
        f'unable to remove repository reference "{IMAGE}" (must force) - container {identity[:12]} is using'
        in result.err
    )
    assert engine.call("GET", f"/images/{IMAGE}/json").status == 200


def test_a_container_whose_images_name_has_moved_shows_the_id(engine: Engine) -> None:
    """As dockerd's list does: who builds an image anew sees which containers run the old one."""
    tag = unique("moving")
    first, second = runnable(f"{tag}:latest"), small(f"{tag}:latest")
    engine.ok("load", input=docker_archive(first))
    made = engine.ok("create", tag, "true")

    def shown() -> str:
        (one,) = engine.call("GET", "/containers/json?all=1").json
        assert one["ImageID"] == first.id
        return str(one["Image"])

    assert shown() == tag
    engine.ok("load", input=docker_archive(second))
    assert shown() == first.id
    engine.ok("tag", first.id, tag)
    assert shown() == tag
    engine.ok("rmi", "-f", tag)
    assert shown() == first.id
    assert engine.inspect(made)["Config"]["Image"] == tag


def test_layers_are_kept_while_a_container_needs_them(engine: Engine) -> None:
    tag = f"{unique('needed')}:1"
    layer = tar([entry("only-here", b"kept")])
    engine.ok("load", input=docker_archive(Image((*busybox().layers, layer), {"Cmd": ["sh"]}, (tag,))))
    identity = engine.start(tag, "sleep", "100")
    engine.ok("rmi", "-f", tag)
    assert engine.ok("exec", identity, "cat", "/only-here") == "kept"
    engine.ok("restart", "-t", "0", identity)
    assert engine.ok("exec", identity, "cat", "/only-here") == "kept"


def test_history(engine: Engine) -> None:
    found = engine.call("GET", f"/images/{IMAGE}/history").json
    assert [each["CreatedBy"] for each in found] == ["/bin/sh -c #(nop) ADD layer 0 in / "]
    assert (found[0]["Id"], found[0]["Tags"], found[0]["Created"]) == (busybox().id, ["busybox:latest"], 1767225600)
    assert found[0]["Size"] > 1_000_000


def test_prune(engine: Engine) -> None:
    image = small(content=b"dangling")
    engine.ok("load", input=docker_archive(image))
    assert f"deleted: {image.id}" in engine.ok("image", "prune", "-f").lower()
    assert engine.call("GET", f"/images/{IMAGE}/json").status == 200


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["rmi", "nope"], "No such image: nope"),
        (["tag", "nope", "x"], "No such image: nope:latest"),
        (["history", "nope"], "No such image: nope:latest"),
        (["image", "inspect", "nope"], "No such image: nope"),
        (["save", "nope"], "No such image: nope"),
    ],
)
def test_errors(engine: Engine, arguments: list[str], text: str) -> None:
    result = engine.docker(*arguments)
    assert result.code in (1, 125)
    assert text.lower() in result.err.lower()


def test_tag_is_checked(engine: Engine) -> None:
    answer = engine.call("POST", f"/images/{IMAGE}/tag?repo=UPPER&tag=1")
    assert answer.status in (400, 500)
    assert re.search("invalid reference format: repository name .*must be lowercase", answer.message)
