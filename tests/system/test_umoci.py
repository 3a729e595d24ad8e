"""Image layouts between umoci and `docker save`, `docker load`: it unpacks what we write, we load what it writes."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.engine import IMAGE, Engine, unique
from tools import images

pytestmark = pytest.mark.shoal_only  # what dockerd 20.10 saves is no OCI layout


@pytest.fixture
def engine(image_engine: Engine) -> Engine:
    return image_engine


def umoci(*arguments: str | Path) -> str:
    done = subprocess.run(["umoci", *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def extracted(archive: Path, folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(["tar", "-C", folder, "--numeric-owner", "-xpf", archive], check=True, timeout=60)
    return folder


def packed(layout: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w") as tar:
        for name in sorted(os.listdir(layout)):
            tar.add(layout / name, name)
    return archive


def manifest(layout: Path, tag: str) -> dict[str, object]:
    """The manifest that a layout has under a tag; every blob it needs is what its digest says."""
    index = json.loads((layout / "index.json").read_text())
    (found,) = (each for each in index["manifests"] if each["annotations"]["org.opencontainers.image.ref.name"] == tag)
    document = json.loads(blob(layout, found))
    for each in (document["config"], *document["layers"]):
        blob(layout, each)
    return {**document, "digest": found["digest"]}


def blob(layout: Path, descriptor: dict[str, object]) -> bytes:
    data = (layout / "blobs/sha256" / str(descriptor["digest"])[7:]).read_bytes()
    assert (images.digest(data), len(data)) == (descriptor["digest"], descriptor["size"])
    return data


def files(root: Path) -> dict[str, tuple[object, ...]]:
    """Paths of a tree: mode, owner, content or target."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content: object = os.readlink(path) if path.is_symlink() else None
        if path.is_file() and not path.is_symlink():
            content = images.digest(path.read_bytes())
        found[str(path.relative_to(root))] = (oct(status.st_mode), status.st_uid, status.st_gid, content)
    return found


def test_what_is_saved_unpacks(engine: Engine, tmp_path: Path) -> None:
    """Deletions, links, owners and modes in several layers: umoci makes the tree that a container sees."""
    tag = unique("u")
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(
        f"FROM {IMAGE}\nRUN mkdir -p /d/deep && echo kept > /d/kept && echo gone > /d/gone && chmod 4751 /d/kept\n"
        "RUN rm /d/gone && ln -s kept /d/link && ln /d/kept /d/hard && chown 7:8 /d/deep\n"
        'RUN rm -r /d/deep && mkdir /d/deep && echo new > /d/deep/new\nENV A=b\nCMD ["true"]\n'
    )
    engine.ok("build", "-q", "-t", f"{tag}:1", str(context))
    engine.ok("save", "-o", str(tmp_path / "saved.tar"), f"{tag}:1")
    layout = extracted(tmp_path / "saved.tar", tmp_path / "layout")
    assert umoci("list", "--layout", layout).split() == ["1"]
    described = json.loads(umoci("stat", "--image", f"{layout}:1", "--json"))
    assert [each["created_by"] for each in described["history"]][-1] == '/bin/sh -c #(nop)  CMD ["true"]'
    assert manifest(layout, "1")["config"]["digest"] == engine.ok("inspect", "-f", "{{.Id}}", f"{tag}:1")  # type: ignore[index]
    umoci("unpack", "--image", f"{layout}:1", tmp_path / "bundle")
    container = engine.ok("create", f"{tag}:1")
    engine.ok("export", "-o", str(tmp_path / "exported.tar"), container)
    exported = extracted(tmp_path / "exported.tar", tmp_path / "exported")
    theirs, ours = files(tmp_path / "bundle/rootfs"), files(exported)
    of_container = ("dev", "etc/host", "etc/resolv.conf", "etc/mtab", "proc", "sys", ".dockerenv")
    assert {path: each for path, each in ours.items() if not path.startswith(of_container) and path != "etc"} == {
        path: each for path, each in theirs.items() if not path.startswith(of_container) and path != "etc"
    }
    assert "d/gone" not in theirs
    assert theirs["d/kept"][:3] == ("0o104751", 0, 0)


def test_what_umoci_makes_is_loaded(engine: Engine, tmp_path: Path) -> None:
    """An image from nothing: files inserted, a configuration set; its digests are the same on both sides."""
    tag, layout = unique("u"), tmp_path / "layout"
    (tmp_path / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (tmp_path / "busybox").chmod(0o755)
    umoci("init", "--layout", layout)
    umoci("new", "--image", f"{layout}:{tag}")
    umoci("insert", "--image", f"{layout}:{tag}", tmp_path / "busybox", "/bin/busybox")
    settings: tuple[str, ...] = ("--config.entrypoint", "/bin/busybox", "--config.cmd", "echo", "--config.env", "A=b")
    settings += ("--config.label", "from=umoci", "--architecture", "amd64", "--os", "linux")
    umoci("config", "--image", f"{layout}:{tag}", *settings)
    made = manifest(layout, tag)
    told = engine.ok("load", "-i", str(packed(layout, tmp_path / "made.tar")))
    image_id = made["config"]["digest"]  # type: ignore[index]
    assert image_id in told or tag in told
    assert engine.run(image_id, "echo", "works") == "works"
    assert engine.ok("inspect", "-f", "{{.Id}} {{.Config.Labels.from}}", image_id) == f"{image_id} umoci"
    engine.ok("tag", image_id, f"{tag}:again")
    engine.ok("save", "-o", str(tmp_path / "again.tar"), f"{tag}:again")
    assert manifest(extracted(tmp_path / "again.tar", tmp_path / "again"), "again") == made


def test_a_round_trip(engine: Engine, tmp_path: Path) -> None:
    """Saved by us, changed by umoci, loaded by us: the name is the changed image's, the layers below are the same.

    umoci changes the layout alone; Docker's own table beside it still names the old image.
    """
    tag = unique("u")
    engine.ok("tag", IMAGE, f"{tag}:1")
    engine.ok("save", "-o", str(tmp_path / "saved.tar"), f"{tag}:1")
    layout, bundle = extracted(tmp_path / "saved.tar", tmp_path / "layout"), tmp_path / "bundle"
    umoci("unpack", "--image", f"{layout}:1", bundle)
    (bundle / "rootfs/added").write_text("by umoci\n")
    (bundle / "rootfs/bin/cat").unlink()
    umoci("repack", "--image", f"{layout}:1", bundle)
    told = engine.ok("load", "-i", str(packed(layout, tmp_path / "changed.tar")))
    assert told.count("Loaded image") == 1
    made = manifest(layout, "1")
    image_id = made["config"]["digest"]  # type: ignore[index]
    assert engine.ok("inspect", "-f", "{{.Id}}", f"{tag}:1") == image_id
    assert engine.run(image_id, "busybox", "cat", "/added") == "by umoci"
    assert engine.docker("run", "--rm", image_id, "cat", "/added").code == 127
    before = json.loads(engine.ok("inspect", "-f", "{{json .RootFS.Layers}}", IMAGE))
    assert json.loads(engine.ok("inspect", "-f", "{{json .RootFS.Layers}}", image_id))[:-1] == before
    engine.ok("save", "-o", str(tmp_path / "again.tar"), f"{tag}:1")
    assert manifest(extracted(tmp_path / "again.tar", tmp_path / "again"), "1") == made
