"""pull, push and all that speaks with registries, by real clients and Debian's docker-registry."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import IMAGE, Engine, unique
from tests.support.platforms import several_platforms
from tests.support.process import Process, running
from tests.support.shoal import CHECKOUT, Shoal
from tests.support.waiting import until
from tests.support.website import website
from tools import images
from tools.bench.reference import Dockerd
from tools.bench.registry import Registry, free_port

MANIFEST, INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
HTPASSWD = "user:$2b$05$2OVygyBQQXC3jiWAknFl2O9ZaEwaggDg5pZXU4ZVw5DCsOQmLC06i\n"
"""The password is `secret` (bcrypt)."""


@pytest.fixture(scope="module")
def registry(_session_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Beside the engine, on its loopback."""
    with Registry(tmp_path_factory.mktemp("registry"), _session_engine.netns) as made:
        yield made


@pytest.fixture
def engine(image_engine: Engine) -> Engine:
    return image_engine


@pytest.fixture
def name(registry: Registry) -> str:
    """A repository nobody else uses."""
    return f"{registry.name}/{unique('r')}"


def test_a_pull_from_another_tools_push(engine: Engine, registry: Registry, name: str, tmp_path: Path) -> None:
    """skopeo puts it there, `docker run` finds it is not here and pulls it."""
    (tmp_path / "a.tar").write_bytes(images.docker_archive(images.busybox(IMAGE)))
    registry.run("skopeo", "copy", "--dest-tls-verify=false", f"docker-archive:{tmp_path}/a.tar", f"docker://{name}:1")
    result = engine.docker("run", "--rm", f"{name}:1", "echo", "works")
    assert (result.code, result.out) == (0, "works\n"), result
    assert f"Status: Downloaded newer image for {name}:1" in result.err
    assert engine.ok("pull", f"{name}:1").endswith(f"Status: Image is up to date for {name}:1\n{name}:1")
    assert engine.ok("pull", "-q", f"{name}:1") == f"{name}:1"
    digest = registry.run("skopeo", "inspect", "--tls-verify=false", "--format={{.Digest}}", f"docker://{name}:1")
    assert engine.ok("inspect", "-f", "{{index .RepoDigests 0}}", f"{name}:1") == f"{name}@{digest.strip()}"


def test_a_push_that_other_tools_read(engine: Engine, registry: Registry, name: str, tmp_path: Path) -> None:
    engine.ok("tag", IMAGE, f"{name}:1")
    engine.ok("tag", IMAGE, f"{name}:2")
    image_id = engine.ok("inspect", "-f", "{{.Id}}", f"{name}:1")
    told = engine.ok("push", f"{name}:1")
    assert f"The push refers to repository [{name}]" in told
    assert "Pushed" in told
    digest = told.rpartition("digest: ")[2].partition(" ")[0]
    raw = registry.run("skopeo", "inspect", "--tls-verify=false", "--raw", f"docker://{name}@{digest}").encode()
    assert images.digest(raw) == digest
    config = registry.run("skopeo", "inspect", "--tls-verify=false", "--config", "--raw", f"docker://{name}:1").encode()
    assert images.digest(config) == image_id
    assert "Layer already exists" in engine.ok("push", "-a", name)
    assert engine.ok("push", "-q", f"{name}:2") == f"{name}:2"
    registry.run("skopeo", "copy", "--src-tls-verify=false", f"docker://{name}:1", f"oci:{tmp_path}/layout:x")
    engine.ok("rmi", f"{name}:1", f"{name}:2")
    engine.ok("pull", f"{name}@{digest}")
    assert engine.ok("inspect", "-f", "{{.Id}} {{.RepoTags}} {{.RepoDigests}}", f"{name}@{digest}") == (
        f"{image_id} [busybox:latest] [{name}@{digest}]"
    )


def test_a_push_of_what_is_not_here(engine: Engine, name: str) -> None:
    result = engine.docker("push", f"{name}:1")
    assert result.code == 1
    assert f"An image does not exist locally with the tag: {name}" in result.err
    engine.ok("tag", IMAGE, f"{name}:1")
    assert f"tag does not exist: {name}:2" in engine.docker("push", f"{name}:2").err
    engine.ok("tag", IMAGE, "localhost:1/a:1")
    assert "connection refused" in engine.docker("push", "localhost:1/a:1").err


@pytest.mark.shoal_only
def test_dockerd_takes_what_we_push_and_we_what_it_pushes(
    engine: Engine, registry: Registry, name: str, tmp_path: Path
) -> None:
    engine.ok("tag", IMAGE, f"{name}:ours")
    engine.ok("push", f"{name}:ours")
    with Dockerd() as dockerd, Registry(registry.root, dockerd.netns, registry.port):
        other = Engine(dockerd.host, dockerd.netns)
        other.ok("pull", f"{name}:ours")
        assert other.run("--network", "none", f"{name}:ours", "echo", "works") == "works"
        other.ok("tag", f"{name}:ours", f"{name}:theirs")
        other.ok("push", f"{name}:theirs")
        theirs = other.ok("inspect", "-f", "{{.Id}}", f"{name}:theirs")
    engine.ok("rmi", f"{name}:ours")
    engine.ok("pull", f"{name}:theirs")
    assert engine.ok("inspect", "-f", "{{.Id}}", f"{name}:theirs") == theirs
    assert engine.run(f"{name}:theirs", "echo", "works") == "works"


@pytest.mark.shoal_only
def test_an_index_keeps_its_digest(engine: Engine, registry: Registry, name: str, tmp_path: Path) -> None:
    """By name and by digest, as dockerd shows it; pulled whole and pushed elsewhere it is the same index."""
    both = [images.Image((images.busybox_layer(),), {"Cmd": [of]}, (), of) for of in ("amd64", "arm64")]
    (tmp_path / "both.tar").write_bytes(several_platforms("both:1", *both))
    registry.run(
        "skopeo", "copy", "--all", "--dest-tls-verify=false", f"oci-archive:{tmp_path}/both.tar", f"docker://{name}:1"
    )

    def index(image: str) -> str:
        return images.digest(registry.run("skopeo", "inspect", "--tls-verify=false", "--raw", image).encode())

    def shown(asked: Engine, image: str) -> str:
        asked.ok("pull", image)
        return asked.ok("inspect", "-f", "{{.Id}} {{.RepoTags}} {{.RepoDigests}}", image)

    digest = index(f"docker://{name}:1")
    ours = shown(engine, f"{name}@{digest}"), shown(engine, f"{name}:1")
    with Dockerd() as dockerd, Registry(registry.root, dockerd.netns, registry.port):
        other = Engine(dockerd.host, dockerd.netns)
        assert ours == (shown(other, f"{name}@{digest}"), shown(other, f"{name}:1"))
    assert f"[{name}@{digest}]" in ours[1]
    engine.ok("pull", "--platform", "linux/arm64", f"{name}:1")
    engine.ok("tag", f"{name}:1", f"{name}-copy:1")
    assert f"digest: {digest}" in engine.ok("push", f"{name}-copy:1")
    assert index(f"docker://{name}-copy:1") == digest
    # Saved, removed and loaded as well: here from our archive, skopeo reads the same index out of it
    engine.ok("save", "-o", str(tmp_path / "saved.tar"), f"{name}-copy:1")
    assert index(f"oci-archive:{tmp_path}/saved.tar") == digest
    engine.ok("rmi", "-f", f"{name}-copy:1", f"{name}:1", f"{name}@{digest}")
    engine.ok("load", "-i", str(tmp_path / "saved.tar"))
    assert f"digest: {digest}" in engine.ok("push", f"{name}-copy:1")


def test_what_a_registry_has_under_a_name(engine: Engine, registry: Registry, name: str, tmp_path: Path) -> None:
    engine.ok("tag", IMAGE, f"{name}:1")
    digest = engine.ok("push", f"{name}:1").rpartition("digest: ")[2].partition(" ")[0]
    found = engine.call("GET", f"/distribution/{name}:1/json").json
    assert found["Descriptor"]["digest"] == digest
    assert found["Platforms"] == [{"architecture": "amd64", "os": "linux"}]
    missing = engine.call("GET", f"/distribution/{name}:2/json")
    assert (missing.status, missing.message) == (404, "manifest unknown: manifest unknown")
    (tmp_path / "a.tar").write_bytes(images.docker_archive(images.busybox(IMAGE)))  # older CLIs do not know OCI's form
    registry.run("skopeo", "copy", "--dest-tls-verify=false", f"docker-archive:{tmp_path}/a.tar", f"docker://{name}:v2")
    inspected = json.loads(registry.run("docker", "manifest", "inspect", "--insecure", f"{name}:v2"))
    assert inspected["config"]["digest"] == engine.ok("inspect", "-f", "{{.Id}}", IMAGE)
    assert engine.call("GET", "/images/search?term=localhost:1/a").status in (400, 500)


UPLOAD = """
import sys, urllib.request
def put(url, data, kind, method="PUT"):
    return urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": kind}, method=method)).headers
base, reference, kind, *blobs = sys.argv[1:]
for digest, data in zip(blobs[::2], blobs[1::2]):
    location = put(f"{base}/blobs/uploads/", b"", "text/plain", "POST")["Location"]
    put(f"{location}&digest={digest}", data.encode(), "application/octet-stream")
put(f"{base}/manifests/{reference}", sys.stdin.buffer.read() or blobs[-1].encode(), kind)
"""
"""Puts blobs and a manifest (the last of them) into a repository."""


@pytest.mark.shoal_only
def test_what_refers_to_an_image(engine: Engine, registry: Registry, name: str) -> None:
    """In a registry without the API for it: by the tag that clients keep instead. Listed, chosen and fetched."""
    engine.ok("tag", IMAGE, f"{name}:1")
    digest = engine.ok("push", f"{name}:1").rpartition("digest: ")[2].partition(" ")[0]
    base = f"http://{registry.name}/v2/{name.partition('/')[2]}"
    nothing = engine.call("GET", f"/distribution/{name}:1/referrers").json
    assert nothing == {"Digest": digest, "Referrers": []}
    entries = []
    for kind, content in (("x/signature", "signed"), ("x/sbom", "packages")):
        blobs = [{"mediaType": "x/y", "digest": images.digest(each.encode()), "size": len(each)}
                 for each in ("{}", content)]  # fmt: skip
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": blobs[0],
                    "layers": blobs[1:], "subject": {"mediaType": MANIFEST, "digest": digest, "size": 1}}  # fmt: skip
        text = json.dumps(manifest)
        stated = images.digest(text.encode())
        sent = (blobs[0]["digest"], "{}", blobs[1]["digest"], content, stated, text)
        registry.run(sys.executable, "-c", UPLOAD, base, stated, MANIFEST, *map(str, sent))
        entries.append({"mediaType": MANIFEST, "digest": stated, "size": len(text), "artifactType": kind})
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
    tag = digest.replace(":", "-")
    registry.run(sys.executable, "-c", UPLOAD, base, tag, INDEX, images.digest(index.encode()), index)

    def shoal(*arguments: str) -> str:
        run_dir = str(Path(engine.path).parent)
        command = [sys.executable, "-P", "-m", "tools.shoal", "referrers", f"{name}:1", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "SHOAL_RUN_DIR": run_dir}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout

    assert [line.split() for line in shoal().splitlines()] == [
        [each["digest"], each["artifactType"]] for each in entries
    ]  # fmt: skip
    assert shoal("--type", "x/sbom").split()[0] == entries[1]["digest"]
    assert shoal(str(entries[0]["digest"])[:20]) == "signed"
    missing = engine.call("GET", f"/distribution/{name}:1/referrers?digest={digest}")
    assert (missing.status, "does not refer to" in missing.message) == (404, True)


def test_a_registry_that_wants_to_know_who_asks(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    rest = f"auth: {{htpasswd: {{realm: r, path: {tmp_path}/htpasswd}}}}"
    monkeypatch.setattr(
        engine, "environment", lambda more=None: Engine.environment(engine, {"DOCKER_CONFIG": str(tmp_path)})
    )
    with Registry(tmp_path / "registry", engine.netns, rest=rest) as private:
        image = f"{private.name}/a:1"
        engine.ok("tag", IMAGE, image)
        assert "no basic auth credentials" in engine.docker("push", image).err
        wrong = engine.docker("login", "-u", "user", "--password-stdin", private.name, input=b"wrong")
        assert wrong.code == 1
        assert "401 Unauthorized" in wrong.err
        assert "Login Succeeded" in engine.ok("login", "-u", "user", "--password-stdin", private.name, input=b"secret")
        engine.ok("push", image)
        engine.ok("rmi", image)
        assert engine.run(image, "echo", "works") == "works"
        engine.ok("logout", private.name)
        engine.ok("rmi", image)
        assert "no basic auth credentials" in engine.docker("pull", image).err


def test_what_is_not_there(engine: Engine, name: str) -> None:
    answer = engine.call("POST", f"/images/create?fromImage={name}&tag=1")
    assert (answer.status, answer.message) == (
        404, f"manifest for {name}:1 not found: manifest unknown: manifest unknown",
    )  # fmt: skip
    assert engine.docker("run", f"{name}:1").code == 125
    assert engine.call("POST", "/images/create?fromImage=scratch").status == 403
    assert engine.call("POST", "/images/create?fromImage=A&tag=1").status == 400
    nobody = engine.call("POST", "/images/create?fromImage=localhost:1/a&tag=1")
    assert nobody.status == 500
    assert nobody.message.endswith("dial tcp 127.0.0.1:1: connect: connection refused")


@pytest.mark.shoal_only
def test_a_mirror_and_a_proxy(tmp_path: Path) -> None:
    """As settings and environment say: Docker Hub's images come from a mirror, what is spoken to by HTTP is reached
    through the proxy (here the registry is both), and nobody learns its password.
    """
    address, files = f"127.0.0.1:{free_port()}", {"http://site.invalid/hello": b"fetched\n"}
    settings = {
        "SHOAL_REGISTRY_MIRRORS": json.dumps([f"http://{address}"]),
        "SHOAL_INSECURE_REGISTRIES": '["registry.invalid"]',
        "SHOAL_HTTP_PROXY": f"http://me:secret@{address}",
    }
    with Shoal(settings) as shoal, Registry(tmp_path, shoal.netns, int(address.partition(":")[2])) as registry:
        engine = Engine(shoal.host, shoal.netns)
        engine.load_busybox()
        image_id = engine.ok("inspect", "-f", "{{.Id}}", IMAGE)
        engine.ok("tag", IMAGE, f"{registry.name}/library/mirrored:1")
        engine.ok("push", f"{registry.name}/library/mirrored:1")
        engine.ok("pull", "mirrored:1")
        assert engine.ok("inspect", "-f", "{{.Id}}", "mirrored:1") == image_id
        engine.ok("tag", IMAGE, "registry.invalid/proxied:1")
        engine.ok("push", "registry.invalid/proxied:1")
        engine.ok("rmi", "registry.invalid/proxied:1")
        engine.ok("pull", "registry.invalid/proxied:1")
        assert "proxied" in registry.run("ls", str(tmp_path / "store/docker/registry/v2/repositories"))
        info = engine.call("GET", "/info").json
        assert info["HttpProxy"] == f"http://xxxxx:xxxxx@{address}"
        assert info["RegistryConfig"]["Mirrors"] == [f"http://{address}/"]
    with Shoal() as shoal, website(files, shoal.netns) as proxy:
        shoal.down()
        shoal.settings["HTTP_PROXY"] = proxy
        shoal.up()
        engine = Engine(shoal.host, shoal.netns)
        dockerfile = b"FROM scratch\nADD http://site.invalid/hello /\n"
        built = engine.call("POST", "/build?t=added", data=images.tar([images.entry("Dockerfile", dockerfile)]))
        assert b"Successfully tagged added:latest" in built.body
        made = engine.ok("create", "added", "/x")
        assert engine.docker("cp", f"{made}:/hello", "-").out.count("fetched") == 1


@pytest.mark.shoal_only
def test_a_pull_goes_on_after_the_store_was_killed(tmp_path: Path) -> None:
    """SIGKILL in the middle of a layer: the next pull asks for the rest alone."""
    with Shoal() as shoal:
        engine = Engine(shoal.host, shoal.netns)
        inside = ["nsenter", f"--net={shoal.netns}", sys.executable, "-P", "-m", "tests.support.halting_registry"]
        registry = Process(inside, r"port (\d+)", {**os.environ, "PYTHONPATH": str(CHECKOUT)})
        try:
            image = f"localhost:{registry.wait()[1]}/a:1"
            partial = Path(f"{shoal.root}/state/image_store/partial")
            with running([engine.cli, "pull", image], env=engine.environment(), stdout=subprocess.DEVNULL) as client:
                asyncio.run(until(lambda: any(each.stat().st_size > 1 << 20 for each in partial.glob("*"))))
                (store,) = [each for each in shoal.processes() if each.name == "image_store"]
                os.kill(store.pid, signal.SIGKILL)
                assert client.wait(60) != 0
            engine.ok("pull", image)
            assert registry.lines[-1].startswith("asked bytes=")
            assert engine.call("GET", f"/images/{image}/json").json["RepoTags"] == [image]
            assert list(partial.iterdir()) == []
        finally:
            registry.kill()
