import gzip
import io
import json
import tarfile

import pytest
import zstandard

from tools.images import (
    Compression,
    Image,
    busybox,
    busybox_layer,
    compress,
    digest,
    directory,
    docker_archive,
    entry,
    oci_layout,
    symlink,
    tar,
)


def contents(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {info.name: file.read() for info in archive if (file := archive.extractfile(info))}


def test_the_same_image_every_time() -> None:
    assert docker_archive(busybox()) == docker_archive(busybox())
    assert busybox("a:1").id == busybox("b:2").id


def test_busybox_has_applets_users_and_a_seed() -> None:
    with tarfile.open(fileobj=io.BytesIO(busybox_layer())) as archive:
        assert archive.getmember("bin/sh").linkname == "busybox"
        assert archive.getmember("var/data/seed").uid == 1000
        passwd = archive.extractfile("etc/passwd")
        assert passwd is not None
        assert b"alice:x:1000:1000" in passwd.read()


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_docker_archive(compression: Compression) -> None:
    image = Image((tar([entry("f", b"x")]),), {"Cmd": ["/f"]}, ("name:1",))
    files = contents(docker_archive(image, compression))
    [manifest] = json.loads(files["manifest.json"])
    assert (manifest["RepoTags"], digest(files[manifest["Config"]])) == (["name:1"], image.id)
    assert [files[name] for name in manifest["Layers"]] == [compress(image.layers[0], compression)]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_oci_layout_holds_what_its_digests_say(compression: Compression) -> None:
    image = Image((tar([entry("f", b"x")]),), {}, ("name:1", "name:2"))
    files = contents(oci_layout(image, compression))
    blobs = {name.removeprefix("blobs/sha256/"): data for name, data in files.items() if name.startswith("blobs/")}
    assert all(digest(data) == f"sha256:{name}" for name, data in blobs.items())
    index = json.loads(files["index.json"])
    assert len(index["manifests"]) == 2
    manifest = json.loads(blobs[index["manifests"][0]["digest"][7:]])
    assert manifest["config"]["digest"] == image.id
    assert len(blobs[manifest["layers"][0]["digest"][7:]]) == manifest["layers"][0]["size"]


def test_compressions_can_be_undone() -> None:
    assert gzip.decompress(compress(b"data", "gzip")) == b"data"
    assert zstandard.ZstdDecompressor().decompress(compress(b"data", "zstd")) == b"data"
    assert compress(b"data", "none") == b"data"


def test_entries_keep_what_no_honest_archive_holds() -> None:
    with tarfile.open(
        fileobj=io.BytesIO(tar([directory("d"), symlink("l", "../.."), entry("/../x", b"y")]))
    ) as archive:
        found = archive.getmembers()
    assert [(info.name, info.type) for info in found[:2]] == [("d", tarfile.DIRTYPE), ("l", tarfile.SYMTYPE)]
    assert found[2].name.endswith("../x")
