from __future__ import annotations

import io
import json
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.image_store.domain import bundle
from services.image_store.domain.bundle import Saved
from shared.contracts.common import Descriptor, Platform
from shared.reference import parse


def digest(number: int) -> str:
    return "sha256:" + f"{number:064x}"


LAYER = Descriptor(media_type="application/vnd.oci.image.layer.v1.tar+gzip", digest=digest(3), size=30)
IMAGE = Saved(
    image_id=digest(1),
    config_size=10,
    manifest=Descriptor(media_type="application/vnd.oci.image.manifest.v1+json", digest=digest(2), size=20),
    platform=Platform(architecture="arm64", variant="v9"),
    layers=(LAYER,),
    diff_ids=(digest(4),),
    tags=(parse("a:1"), parse("localhost/b:2")),
)
UNNAMED = Saved(
    image_id=digest(5), config_size=1, manifest=IMAGE.manifest, platform=Platform(), layers=(), diff_ids=(), tags=(),
    parent=digest(1),
)  # fmt: skip


def test_the_index_names_the_manifest_once_for_each_tag() -> None:
    first, second, unnamed = json.loads(bundle.index([IMAGE, UNNAMED]))["manifests"]
    assert first["annotations"] == {
        "io.containerd.image.name": "docker.io/library/a:1",
        "org.opencontainers.image.ref.name": "1",
    }
    assert second["annotations"]["io.containerd.image.name"] == "localhost/b:2"
    assert first["digest"] == second["digest"] == digest(2)
    assert first["platform"] == {"architecture": "arm64", "os": "linux", "variant": "v9"}
    assert "annotations" not in unnamed


def test_dockers_manifest() -> None:
    named, unnamed = json.loads(bundle.manifest([IMAGE, UNNAMED]))
    assert named == {
        "Config": f"blobs/sha256/{1:064x}",
        "RepoTags": ["a:1", "localhost/b:2"],
        "Layers": [f"blobs/sha256/{3:064x}"],
        "LayerSources": {digest(4): {"mediaType": LAYER.media_type, "digest": LAYER.digest, "size": 30}},
    }
    assert (unnamed["RepoTags"], unnamed["Parent"]) == (None, digest(1))
    assert "Parent" not in json.loads(bundle.manifest([UNNAMED]))[0]


def test_repositories_only_where_there_are_names() -> None:
    top = f"{3:064x}"
    assert json.loads(bundle.repositories([IMAGE])) == {"a": {"1": top}, "localhost/b": {"2": top}}
    assert bundle.repositories([UNNAMED]) == b""


@given(st.sampled_from(["a", "blobs/sha256/" + "f" * 64]), st.integers(0, 1 << 40), st.booleans())
def test_headers_are_what_tarfile_reads(name: str, size: int, directory: bool) -> None:
    header = bundle.tar_header(name, 0 if directory else size, directory)
    read = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
    assert (read.name, read.size, read.isdir(), read.mtime) == (name, 0 if directory else size, directory, 0)
    assert read.mode == (0o755 if directory else 0o644)


def test_an_archive_made_of_headers_opens() -> None:
    data = bundle.tar_header("a", 1) + b"x".ljust(512, b"\0") + bytes(1024)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        file = archive.extractfile("a")
        assert file is not None
        assert file.read() == b"x"


def test_names_too_long_for_a_header() -> None:
    with pytest.raises(ValueError, match="too long"):
        bundle.tar_header("x" * 101, 0)
