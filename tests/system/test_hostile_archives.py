"""Hostile archives in load and import are refused or contained.

No file outside the image's own tree is touched, nothing is left of what was refused, and the engine still answers.
A canary on the host stands for everything outside.
"""

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.engine import IMAGE, Engine, Result, unique
from tests.support.hostile import Entries, Peak, bomb, escapes, sparse_bomb
from tools.bench.processes import ProcessSet
from tools.images import (
    Image,
    busybox,
    busybox_layer,
    digest,
    directory,
    docker_archive,
    entry,
    oci_layout,
    symlink,
    tar,
)

pytestmark = pytest.mark.beyond_reference("dockerd 20.10 hangs on some, and fills the disk on others")
MOST = 200 << 20
"""Bytes of memory that each of the engine's processes may have at most; the largest has some 60 MB by itself."""


@pytest.fixture
def engine(image_engine: Engine) -> Engine:
    return image_engine


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A file that nobody may change, remove or see; and a folder in which nothing may appear."""
    file = tmp_path / "canary"
    file.write_text("untouched")
    yield file
    assert file.read_text() == "untouched"
    assert [path.name for path in tmp_path.iterdir()] == ["canary"]
    assert not Path("/escaped").exists()
    assert not Path("/tmp/escaped").exists()


def layered(engine: Engine, entries: Entries, tag: str) -> Result:
    """busybox with a hostile layer on top, loaded."""
    image = Image((busybox_layer(), tar(entries)), {"Cmd": ["sh"]}, (tag,))
    return engine.docker("load", input=docker_archive(image))


@pytest.mark.parametrize("name", escapes(Path("/x")))
def test_layer_that_escapes(engine: Engine, canary: Path, name: str) -> None:
    tag = f"{unique('hostile')}:1"
    result = layered(engine, escapes(canary)[name], tag)
    if result.code == 0:  # contained: the container sees its own tree, the host's stays
        engine.docker("run", "--rm", tag, "sh", "-c", "cat /h /out/canary /f; ls /out")
    else:
        assert engine.call("GET", f"/images/{tag}/json").status == 404
    assert engine.run(IMAGE, "echo", "x") == "x"


@pytest.mark.parametrize("name", escapes(Path("/x")))
def test_import_that_escapes(engine: Engine, canary: Path, name: str) -> None:
    tag = f"{unique('hostile')}:1"
    result = engine.docker("import", "-", tag, input=tar(escapes(canary)[name]))
    assert (result.code == 0) == (engine.call("GET", f"/images/{tag}/json").status == 200)
    if result.code == 0:  # unpacked at the latest now
        engine.docker("run", "--rm", tag, "/none")


def processes(engine: Engine) -> Callable[[], Sequence[int]]:
    """The engine's own ones."""
    return ProcessSet(records=(f"{Path(engine.path).parent}/engine/*.json",)).pids


def built(engine: Engine, context: bytes, tag: str) -> str:
    """The error of a build, or ""."""
    answer = engine.call(
        "POST", f"/build?t={tag}", data=context, headers={"Content-Type": "application/x-tar"}, timeout=120
    )
    assert answer.status in (200, 400), answer.body
    if answer.status == 400:
        return answer.message
    return str(json.loads(answer.body.splitlines()[-1]).get("error", ""))


def with_dockerfile(dockerfile: str, *entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    return tar([entry("Dockerfile", f"FROM {IMAGE}\n{dockerfile}\n".encode()), *entries])


@pytest.mark.parametrize("how", ["a context", "an archive added"])
def test_builds_that_escape(engine: Engine, canary: Path, how: str) -> None:
    """What is built holds nothing of the host, whatever is made of it."""
    contained = 0
    for name, entries in escapes(canary).items():
        tag = f"{unique('hostile')}:1"
        if how == "a context":
            context = with_dockerfile("COPY . /x/", *entries)
        else:
            context = with_dockerfile("ADD a.tar /x/", entry("a.tar", tar(entries)))
        error = built(engine, context, tag)
        assert "Traceback" not in error
        assert bool(error) == (engine.call("GET", f"/images/{tag}/json").status == 404), name
        if not error:
            contained += 1
            seen = engine.docker("run", "--rm", tag, "cat", "/x/h", "/x/out/canary", "/x/f")
            assert "untouched" not in seen.out, name
    assert contained > 2


@pytest.mark.parametrize("running", [True, False])
def test_copies_that_escape(engine: Engine, canary: Path, running: bool) -> None:
    for name, entries in escapes(canary).items():
        container = engine.ok("create", IMAGE, "sleep", "1000")
        if running:
            engine.ok("start", container)
        answer = engine.call("PUT", f"/containers/{container}/archive?path=/tmp", data=tar(entries))
        assert answer.status in (200, 400), (name, answer.message)
        for path in ("/tmp/h", "/tmp/out/canary", "/tmp/f"):
            found = engine.call("GET", f"/containers/{container}/archive?path={path}")
            assert b"untouched" not in found.body, name
        engine.ok("rm", "-f", container)


@pytest.mark.shoal_only
@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_bombs_everywhere(engine: Engine, compression: str) -> None:
    """In a context, in what ADD takes apart, in what is copied and imported: refused, and memory stays what it was."""
    tag = f"{unique('bomb')}:1"
    packed = bomb(compression, 4 << 30)
    container = engine.ok("create", IMAGE)
    with Peak(processes(engine)) as peak:
        assert "max_unpack_ratio" in built(engine, packed, tag)
        assert "max_unpack_ratio" in built(engine, with_dockerfile("ADD a /x/", entry("a", packed)), tag)
        answer = engine.call("PUT", f"/containers/{container}/archive?path=/tmp", data=packed)
        assert (answer.status, "max_unpack_ratio" in answer.message) == (400, True)
        assert "max_unpack_ratio" in engine.docker("import", "-", tag, input=packed).err
    assert engine.call("GET", f"/images/{tag}/json").status == 404
    left = engine.call("GET", f"/containers/{container}/json?size=1").json["SizeRw"]
    assert left < 1 << 20, "the file that was refused is not there in part"
    assert 0 < peak.most < MOST, f"{peak.most >> 20} MiB"


@pytest.mark.shoal_only
def test_contexts_of_odd_entries(engine: Engine) -> None:
    """Sparse files, devices, headers and paths beyond all measure: an error that says what, or a build."""
    tag = f"{unique('odd')}:1"
    odd: Mapping[str, Entries] = {
        "sparse": [sparse_bomb()],
        "a device": [entry("disk", kind=tarfile.BLKTYPE, device=(254, 0))],
        "a long header": [entry("x", pax={"comment": "x" * (2 << 20)})],
        "a long name": [entry("n" * 5000)],
        "a deep name": [entry("d/" * 3000 + "f")],
        "a ring": [symlink("a", "b"), symlink("b", "a")],
        "a Dockerfile outside": [symlink("Dockerfile", "/etc/passwd")],
        "an ignore file outside": [symlink(".dockerignore", "/etc/passwd")],
        "a hard link to nothing": [entry("h", kind=tarfile.LNKTYPE, link="nothing")],
        "an unknown kind": [entry("a", kind=b"Z")],
        "folders without end": [entry(f"{number}" + "/d" * 2000) for number in range(1000)],
        "attributes without end": [entry("x", pax={"SCHILY.xattr.user.x": "y" * 1_000_000})] * 200,
    }
    with Peak(processes(engine)) as peak:
        errors = {name: built(engine, with_dockerfile("COPY . /x/", *entries), tag) for name, entries in odd.items()}
    assert {name for name, error in errors.items() if not error} <= {"a device", "a ring", "an ignore file outside"}
    assert "root:" not in str(errors)
    assert 0 < peak.most < MOST, f"{peak.most >> 20} MiB"


@pytest.mark.shoal_only
def test_dockerfiles_without_end(engine: Engine) -> None:
    """Variables that double each time, and more instructions than anybody writes."""
    tag = f"{unique('endless')}:1"
    growing = f"FROM {IMAGE}\nENV A={'a' * 1000}\n" + "ENV A=$A$A$A$A$A$A$A$A$A$A\n" * 20
    with Peak(processes(engine)) as peak:
        for dockerfile, why in ((growing, "its variables come to more than"), ("FROM x\n" * 500_000, "instructions")):
            assert why in built(engine, tar([entry("Dockerfile", dockerfile.encode())]), tag)
    assert 0 < peak.most < MOST, f"{peak.most >> 20} MiB"


def test_a_hard_link_to_a_link_of_the_host_shows_nothing(engine: Engine, canary: Path) -> None:
    tag = f"{unique('hostile')}:1"
    layered(engine, [symlink("out", str(canary.parent)), entry("h", kind=tarfile.LNKTYPE, link="out/canary")], tag)
    assert "untouched" not in engine.docker("run", "--rm", tag, "cat", "/h").out


def test_special_files(engine: Engine) -> None:
    """Device nodes may be kept, as tar keeps them, but not be usable beyond the container's device rules."""
    tag = f"{unique('special')}:1"
    entries = [
        entry("disk", kind=tarfile.BLKTYPE, device=(254, 0), mode=0o666),
        entry("fuse", kind=tarfile.CHRTYPE, device=(10, 229), mode=0o666),
        entry("fifo", kind=tarfile.FIFOTYPE),
        entry("setuid", b"x", mode=0o4755),
    ]
    if layered(engine, entries, tag).code == 0:
        for name in ("disk", "fuse"):
            result = engine.docker("run", "--rm", tag, "head", "-c", "1", f"/{name}")
            assert result.code != 0, name


def test_unknown_entry_types_and_odd_names(engine: Engine) -> None:
    entries = [
        entry("sparse", kind=b"S"),
        entry("unknown", kind=b"Z"),
        entry("contiguous", b"x", kind=tarfile.CONTTYPE),
        entry("", b"x"),
        entry(".", b"x"),
        entry("/", kind=tarfile.DIRTYPE),
        entry("a" * 5000, b"x"),
        entry("d/" * 2000 + "f", b"x"),
        entry("new\nline", b"x"),
        entry("\udcff\udcfe", b"x"),
    ]
    for each in entries:
        layered(engine, [each], f"{unique('odd')}:1")
        assert engine.call("GET", "/_ping").status == 200


def test_privileged_attributes_are_dropped(engine: Engine) -> None:
    tag = f"{unique('attributes')}:1"
    attributes = {
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        "SCHILY.xattr.user.overlay.redirect": "/etc",
    }
    marked = entry("etc", kind=tarfile.DIRTYPE, mode=0o755, pax=attributes)
    if layered(engine, [marked, entry("bin2", kind=tarfile.DIRTYPE, mode=0o755, pax=attributes)], tag).code == 0:
        assert "alice" in engine.run(tag, "cat", "/etc/passwd"), "not opaque"
        assert engine.run(tag, "ls", "/bin2") == "", "not redirected"


def repacked(data: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    """The archive with every file's content passed through change; None leaves the file out."""
    entries = []
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for info in archive:
            file = archive.extractfile(info)
            content = change(info.name, file.read() if file else b"")
            if content is not None:
                info.size = len(content)
                entries.append((info, content))
    return tar(entries)


def refused(engine: Engine, data: bytes, tag: str) -> str:
    result = engine.docker("load", input=data)
    assert result.code != 0, result
    assert "Loaded image" not in result.out
    assert engine.call("GET", f"/images/{tag}/json").status == 404
    assert "Traceback" not in result.err
    assert engine.call("GET", "/_ping").status == 200
    return result.err


def small(tag: str) -> Image:
    return Image((tar([entry("f", unique("content").encode())]),), {"Cmd": ["/f"]}, (tag,))


def test_wrong_diff_id(engine: Engine) -> None:
    tag = f"{unique('wrong')}:1"
    other = tar([entry("f", b"other")])
    data = repacked(docker_archive(small(tag)), lambda name, content: other if name.endswith("layer.tar") else content)
    assert refused(engine, data, tag)


@pytest.mark.parametrize("victim", ["layer", "manifest", "config"])
def test_wrong_digest_in_a_layout(engine: Engine, victim: str) -> None:
    tag = f"{unique('wrong')}:1"
    image = small(tag)
    layout = oci_layout(image, "none")

    def change(name: str, content: bytes) -> bytes:
        layer = content == image.layers[0]
        config = content == image.config_json
        hit = {"layer": layer, "config": config, "manifest": name.startswith("blobs/") and not layer and not config}
        return content + b" " if hit[victim] and content else content

    assert refused(engine, repacked(layout, change), tag)


MANIFESTS: Mapping[str, object] = {
    "no list": {"Config": "x"},
    "empty object": [{}],
    "config outside": [{"Config": "../../../../etc/passwd", "RepoTags": ["hostile:1"], "Layers": []}],
    "config absolute": [{"Config": "/etc/passwd", "RepoTags": ["hostile:1"], "Layers": []}],
    "layer absent": [{"Config": "config.json", "RepoTags": ["hostile:1"], "Layers": ["absent/layer.tar"]}],
    "layer outside": [{"Config": "config.json", "RepoTags": ["hostile:1"], "Layers": ["../../../../etc/passwd"]}],
    "layers no list": [{"Config": "config.json", "RepoTags": ["hostile:1"], "Layers": "layer.tar"}],
    "bad tag": [{"Config": "config.json", "RepoTags": ["../../etc:UPPER"], "Layers": ["layer.tar"]}],
    "number": 5,
}


@pytest.mark.parametrize("manifest", MANIFESTS.values(), ids=MANIFESTS.keys())
def test_hostile_manifest(engine: Engine, manifest: object) -> None:
    image = small("hostile:1")
    entries = [entry("config.json", image.config_json), entry("layer.tar", image.layers[0])]
    assert refused(engine, tar([*entries, entry("manifest.json", json.dumps(manifest).encode())]), "hostile:1")


def test_files_of_the_archive_that_are_no_files(engine: Engine, canary: Path) -> None:
    """A FIFO named manifest.json hangs dockerd; links must not lead out."""
    image = small("hostile:1")
    name = f"{image.id[7:]}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": ["hostile:1"], "Layers": ["layer.tar"]}]).encode()
    rest = [entry("layer.tar", image.layers[0])]
    assert refused(engine, tar([entry("manifest.json", kind=tarfile.FIFOTYPE)]), "hostile:1")
    assert refused(engine, tar([entry("manifest.json", kind=tarfile.CHRTYPE, device=(1, 5))]), "hostile:1")
    assert refused(engine, tar([directory("manifest.json")]), "hostile:1")
    assert refused(engine, tar([entry("manifest.json", manifest), symlink(name, str(canary)), *rest]), "hostile:1")
    assert refused(engine, tar([symlink("manifest.json", str(canary))]), "hostile:1")


def test_deep_and_large_json(engine: Engine) -> None:
    assert refused(engine, tar([entry("manifest.json", b"[" * 200_000 + b"]" * 200_000)]), "hostile:1")
    assert refused(engine, tar([entry("manifest.json", b" " * 300_000_000)]), "hostile:1")


@pytest.mark.parametrize(
    "data", [b"", b"junk" * 1000, b"\x1f\x8b" + b"x" * 1000, b"\x28\xb5\x2f\xfd" + b"x" * 1000, b"\0" * 10240]
)
def test_no_archive_at_all(engine: Engine, data: bytes) -> None:
    answer = engine.call("POST", "/images/load", data=data, headers={"Content-Type": "application/x-tar"})
    assert answer.status >= 400 or b"error" in answer.body or data in (b"", b"\0" * 10240)
    assert engine.call("GET", "/_ping").status == 200
    answer = engine.call("POST", "/images/create?fromSrc=-&repo=imported&tag=1", data=data)
    assert answer.status < 500 or b"message" in answer.body


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_cut_archives(engine: Engine, share: float) -> None:
    tag = f"{unique('cut')}:1"
    whole = docker_archive(busybox(tag))
    assert refused(engine, whole[: int(len(whole) * share)], tag)


def free_bytes(engine: Engine) -> int:
    import shutil

    return shutil.disk_usage(Path(engine.path).parent).free


@pytest.mark.shoal_only
@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_compressed_bomb(engine: Engine, compression: str) -> None:
    """4 GiB of zeros in a few megabytes, beyond the ratio that is allowed."""
    tag = f"{unique('bomb')}:1"
    before = free_bytes(engine)
    blob = bomb(compression, 4 << 30)
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest(b"unknown")]}}
    encoded = json.dumps(config).encode()
    manifest = [{"Config": "c.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
    data = tar(
        [entry("c.json", encoded), entry("layer.tar", blob), entry("manifest.json", json.dumps(manifest).encode())]
    )
    assert refused(engine, data, tag)
    assert before - free_bytes(engine) < 1 << 30, "a refused archive gives its space back"


@pytest.mark.shoal_only
def test_sparse_bomb(engine: Engine) -> None:
    """A GNU sparse file of a terabyte without a byte in it does not take a terabyte."""
    before = free_bytes(engine)
    tag = f"{unique('sparse')}:1"
    result = layered(engine, [sparse_bomb()], tag)
    assert before - free_bytes(engine) < 100 << 20
    if result.code == 0:
        engine.docker("run", "--rm", tag, "true")
        assert before - free_bytes(engine) < 100 << 20


@pytest.mark.shoal_only
def test_nothing_is_left_of_refused_archives(engine: Engine) -> None:
    """Twenty refusals of 4 MB each do not add up."""
    tag = f"{unique('left')}:1"
    whole = docker_archive(busybox(tag))
    assert refused(engine, whole[:-600_000], tag)
    state = Path(engine.path).parents[1]

    def used() -> int:
        return sum(path.stat().st_blocks * 512 for path in state.rglob("*") if path.is_file() and not path.is_symlink())

    before = used()
    for _ in range(20):
        assert refused(engine, whole[:-600_000], tag)
    assert used() - before < 8_000_000
