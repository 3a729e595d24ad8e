from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.image_store.domain import archive
from services.image_store.domain.archive import Archive, Loadable
from services.image_store.ports import Entry
from shared.contracts.common import Descriptor, Platform
from shared.digest import digest_of, hex_of
from shared.errors import InvalidArgument, NotFound

HOST = Platform()
MANIFEST, INDEX = archive.MANIFEST_TYPE, archive.INDEX_TYPE
LAYER = b"a layer"


class Files:
    """An archive in memory: names to contents, and what is no file."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.others: list[Entry] = []

    def file(self, name: str, content: Any) -> None:
        self.contents[name] = content if isinstance(content, bytes) else json.dumps(content).encode()

    def blob(self, content: Any, **more: Any) -> dict[str, Any]:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.file(f"blobs/sha256/{hex_of(digest_of(data))}", data)
        return {"digest": digest_of(data), "size": len(data), **more}

    def image(self, architecture: str = "amd64", layer: bytes = LAYER, **more: Any) -> dict[str, Any]:
        """The descriptor of a manifest, with all it names."""
        config = {"os": "linux", "architecture": architecture, "rootfs": {"diff_ids": [digest_of(layer)]}}
        manifest = {"config": self.blob(config), "layers": [self.blob(layer)]}
        platform = {"os": "linux", "architecture": architecture}
        return self.blob(manifest, mediaType=MANIFEST, platform=platform, **more)

    def read(self, wanted: Platform | None = None, host: Platform = HOST) -> tuple[Loadable, ...]:
        entries = [
            Entry(name=name, file=name, digest=digest_of(data), size=len(data)) for name, data in self.contents.items()
        ]
        plan = archive.images(Archive([*entries, *self.others]), host, wanted)
        try:
            entry = next(plan)
            while True:
                entry = plan.send(self.contents[entry.file])
        except StopIteration as finished:
            found: tuple[Loadable, ...] = finished.value
            return found


def named(name: str) -> dict[str, dict[str, str]]:
    return {"annotations": {"io.containerd.image.name": name}}


@pytest.fixture
def files() -> Files:
    return Files()


def docker(files: Files, *tags: str, layers: tuple[str, ...] = ("l/layer.tar",), **item: Any) -> None:
    files.file("c.json", {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [digest_of(LAYER)]}})
    files.file("l/layer.tar", LAYER)
    files.file("manifest.json", [{"Config": "c.json", "RepoTags": list(tags) or None, "Layers": layers, **item}])


def test_dockers_form(files: Files) -> None:
    docker(files, "a:1", "b:2", Parent="sha256:x")
    (image,) = files.read()
    assert [tag.familiar for tag in image.tags] == ["a:1", "b:2"]
    assert (image.image.id, image.parent, image.manifest) == (digest_of(files.contents["c.json"]), "sha256:x", None)
    assert [entry.digest for entry in image.layers] == [digest_of(LAYER)]


def test_links_inside_the_archive_are_followed(files: Files) -> None:
    docker(files, layers=("m/layer.tar",))
    files.others = [
        Entry(name="./m/layer.tar", kind="symlink", link="../n/x"),
        Entry(name="n/x", kind="symlink", link="../l/layer.tar"),
    ]
    (image,) = files.read()
    assert image.layers[0].file == "l/layer.tar"


@pytest.mark.parametrize("link", ["/etc/passwd", "../../../../etc/passwd", "layer.tar", ".."])
def test_links_that_lead_nowhere_in_the_archive(files: Files, link: str) -> None:
    docker(files, layers=("m/layer.tar",))
    files.others = [Entry(name="m/layer.tar", kind="symlink", link=link)]
    with pytest.raises(InvalidArgument, match=r"'m/layer\.tar' is"):
        files.read()


@pytest.mark.parametrize("kind", ["other", "directory", "sparse"])
def test_only_regular_files_are_read(files: Files, kind: str) -> None:
    docker(files)
    del files.contents["manifest.json"]
    files.others = [Entry(name="manifest.json", kind=kind)]
    with pytest.raises(InvalidArgument, match=r"'manifest\.json' is not a regular file"):
        files.read()


def test_manifests_beside_dockers_form_are_kept_when_they_say_the_same(files: Files) -> None:
    descriptor = files.image()
    files.file("index.json", {"manifests": [descriptor]})
    manifest = json.loads(files.contents[f"blobs/sha256/{hex_of(descriptor['digest'])}"])
    name = f"blobs/sha256/{hex_of(manifest['config']['digest'])}"
    layer = f"blobs/sha256/{hex_of(digest_of(LAYER))}"
    files.file("manifest.json", [{"Config": name, "Layers": [layer]}])
    (image,) = files.read()
    assert image.manifest is not None
    assert (image.manifest.digest, image.manifest.media_type) == (descriptor["digest"], MANIFEST)
    files.file("x", LAYER + b"other")
    files.file("manifest.json", [{"Config": name, "Layers": ["x"]}])
    assert files.read()[0].manifest is None


def test_what_the_index_names_beside_dockers_form(files: Files) -> None:
    """As umoci leaves what it changed in a saved archive: the older table does not know of it."""
    docker(files, "a:1", "a:other")
    changed = files.image(layer=b"changed") | named("docker.io/library/a:1")
    files.file("index.json", {"manifests": [changed]})
    old, new = files.read()
    assert (old.image.id, [str(each) for each in old.tags]) == (
        digest_of(files.contents["c.json"]), ["docker.io/library/a:other"]
    )  # fmt: skip
    assert [str(each) for each in new.tags] == ["docker.io/library/a:1"]
    assert new.image.diff_ids == (digest_of(b"changed"),)
    docker(files, "a:1")
    (only,) = files.read()
    assert only.image.id == new.image.id


def test_a_layout_with_its_names(files: Files) -> None:
    descriptor = files.image()
    again = descriptor | named("docker.io/library/a:2")
    files.file("index.json", {"manifests": [descriptor | named("docker.io/library/a:1"), again]})
    (image,) = files.read()
    assert [tag.familiar for tag in image.tags] == ["a:1", "a:2"]
    assert image.manifest is not None


@pytest.mark.parametrize(
    ("annotation", "tags"), [("latest", []), ("a:1", ["a:1"]), ("quay.io/a/b", ["quay.io/a/b:latest"])]
)
def test_names_as_other_tools_write_them(files: Files, annotation: str, tags: list[str]) -> None:
    descriptor = files.image() | {"annotations": {"org.opencontainers.image.ref.name": annotation}}
    files.file("index.json", {"manifests": [descriptor]})
    assert [tag.familiar for tag in files.read()[0].tags] == tags


def test_of_several_platforms_all_are_taken_unless_one_was_asked_for(files: Files) -> None:
    arm, amd = files.image("arm64"), files.image("amd64")
    attested = files.blob({}, mediaType=MANIFEST, annotations={"vnd.docker.reference.type": "attestation-manifest"})
    windows = files.blob({}, mediaType=MANIFEST, platform={"os": "windows", "architecture": "amd64"})
    absent = arm | {"digest": "sha256:" + "9" * 64}
    inner = files.blob(
        {"manifests": [arm, amd, attested, windows, absent]}, mediaType=INDEX, **named("docker.io/library/a:1")
    )
    files.file("index.json", {"manifests": [inner]})
    assert [(each.image.platform.architecture, [str(tag) for tag in each.tags]) for each in files.read()] == [
        ("arm64", ["docker.io/library/a:1"]), ("amd64", ["docker.io/library/a:1"])
    ]  # fmt: skip
    assert files.read(Platform(architecture="arm64"))[0].image.platform.architecture == "arm64"
    with pytest.raises(NotFound, match="the archive has no image for platform linux/s390x"):
        files.read(Platform(architecture="s390x"))


def test_the_outermost_index_is_kept_with_what_it_has(files: Files) -> None:
    inner = files.blob({"manifests": [files.image("arm64")]}, mediaType=INDEX)
    outer = files.blob({"manifests": [inner, files.image("amd64")]}, mediaType=INDEX, **named("docker.io/library/a:1"))
    files.file("index.json", {"manifests": [outer, files.image("s390x")]})
    arm, amd, alone = files.read()
    assert alone.index is None
    for each in (arm, amd):
        assert each.index is not None
        assert (each.index.digest, each.index.media_type) == (outer["digest"], INDEX)
        assert digest_of(each.index.data) == outer["digest"]


def test_the_media_type_is_what_the_document_says(files: Files) -> None:
    """Else it could not be pushed: registries compare the two."""
    config = files.blob({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": []}})
    docker_type = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = files.blob({"mediaType": docker_type, "config": config, "layers": []}, mediaType=MANIFEST)
    files.file("index.json", {"manifests": [manifest]})
    (image,) = files.read()
    assert image.manifest is not None
    assert image.manifest.media_type == docker_type
    files.file("index.json", {"manifests": [files.blob({"mediaType": "text/x", "config": config}, mediaType=MANIFEST)]})
    with pytest.raises(InvalidArgument, match="unsupported media type text/x"):
        files.read()


def test_one_name_for_several_platforms_side_by_side(files: Files) -> None:
    both = [
        files.image("arm64") | named("docker.io/library/a:1"),
        files.image("amd64") | named("docker.io/library/a:1"),
    ]
    files.file("index.json", {"manifests": both})
    assert [image.image.platform.architecture for image in files.read()] == ["arm64", "amd64"]
    assert [each.image.platform.architecture for each in files.read(Platform())] == ["amd64"]


def test_a_foreign_image_alone_is_taken_unless_another_was_asked_for(files: Files) -> None:
    files.file("index.json", {"manifests": [files.image("arm64")]})
    assert files.read()[0].image.platform.architecture == "arm64"
    with pytest.raises(NotFound):
        files.read(Platform(architecture="amd64"))


def break_digest(files: Files) -> None:
    name = next(name for name, data in files.contents.items() if data == LAYER)
    files.contents[name] = b"another layer"


def break_size(files: Files) -> None:
    index = json.loads(files.contents["index.json"])
    index["manifests"][0]["size"] += 1
    files.file("index.json", index)


def remove_layer(files: Files) -> None:
    files.contents = {name: data for name, data in files.contents.items() if data != LAYER}


@pytest.mark.parametrize(
    ("damage", "message"),
    [(break_digest, "invalid archive: blob sha256:"), (break_size, "were announced"), (remove_layer, "is missing")],
)
def test_blobs_must_be_what_they_are_announced_as(files: Files, damage: Any, message: str) -> None:
    files.file("index.json", {"manifests": [files.image()]})
    damage(files)
    with pytest.raises(InvalidArgument, match=message):
        files.read()


def test_indexes_nested_without_end(files: Files) -> None:
    descriptor = files.image()
    for _ in range(6):
        descriptor = files.blob({"manifests": [descriptor]}, mediaType=INDEX)
    files.file("index.json", {"manifests": [descriptor]})
    with pytest.raises(InvalidArgument, match="nested deeper"):
        files.read()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"RepoTags": ["Foo"]}, "must be lowercase"),
        ({"RepoTags": ["foo"]}, 'invalid tag "foo"'),
        ({"Layers": []}, "layers length mismatch: expected 1, got 0"),
        ({"Layers": ["x"]}, "'x' is missing"),
        ({"Config": "nope"}, "'nope' is missing"),
        ({"Config": 1}, "invalid manifest.json"),
    ],
)
def test_what_is_wrong_with_dockers_form(files: Files, item: dict[str, Any], message: str) -> None:
    docker(files, **item)
    with pytest.raises(InvalidArgument) as refused:
        files.read()
    assert message in refused.value.message


@pytest.mark.parametrize("document", [b"null", b"{", b"[" * 100_000, b"\xff", b"[1]"])
def test_documents_that_are_none(files: Files, document: bytes) -> None:
    files.file("manifest.json", document)
    with pytest.raises(InvalidArgument, match=r"invalid manifest\.json"):
        files.read()


def test_other_systems_and_empty_archives(files: Files) -> None:
    with pytest.raises(InvalidArgument, match=r"does not contain a manifest\.json"):
        files.read()
    docker(files)
    files.file("c.json", {"os": "windows", "rootfs": {"diff_ids": [digest_of(LAYER)]}})
    with pytest.raises(InvalidArgument, match="cannot load windows image on linux"):
        files.read()


def test_a_document_that_is_too_large_is_not_read(files: Files) -> None:
    docker(files)
    files.file("manifest.json", b" " * (9 << 20))
    with pytest.raises(InvalidArgument, match="at most 8388608"):
        files.read()


def test_of_dockers_form_only_the_platform_asked_for(files: Files) -> None:
    docker(files, "a:1")
    assert len(files.read(Platform(architecture="amd64"))) == 1
    with pytest.raises(NotFound):
        files.read(Platform(architecture="arm64"))


def test_manifests_made_here_name_config_and_layers() -> None:
    layer = Descriptor(media_type="application/vnd.oci.image.layer.v1.tar", digest=digest_of(LAYER), size=7)
    made = archive.make_manifest(digest_of(b"c"), 1, [layer])
    assert made == archive.make_manifest(digest_of(b"c"), 1, [layer])
    assert archive.layer_digests(made) == (digest_of(b"c"), (digest_of(LAYER),))


@pytest.mark.parametrize("document", [b"", b"{}", b'{"config":{"digest":"x","size":1}}'])
def test_manifests_that_are_none(document: bytes) -> None:
    with pytest.raises(InvalidArgument):
        archive.layer_digests(document)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5),
        lambda each: (
            st.lists(each)
            | st.dictionaries(st.sampled_from(["Config", "Layers", "RepoTags", "manifests", "digest"]), each)
        ),
    )
)
def test_any_json_is_understood_or_refused(document: Any) -> None:
    for name in ("manifest.json", "index.json"):
        files = Files()
        files.file(name, document)
        try:
            assert files.read() == ()
        except (InvalidArgument, NotFound):
            continue
