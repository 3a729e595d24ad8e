"""Images of several platforms under one name, and containers of another platform than the host's, by the real CLI."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.support.engine import Engine, unique
from tests.support.platforms import busybox_of, several_platforms
from tools.bench.reference import Dockerd
from tools.bench.registry import Registry
from tools.images import Image, busybox_layer

pytestmark = pytest.mark.shoal_only
CONFIG = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["uname", "-m"]}
CLASSIC = {"DOCKER_BUILDKIT": "0"}
NO_LOGIN = {"X-Registry-Auth": "e30="}
WARNING = (
    "The requested image's platform (linux/arm64) does not match the detected host platform (linux/amd64) "
    "and no specific platform was requested"
)


@pytest.fixture
def both(image_engine: Engine) -> Engine:
    """`both:1` is there for amd64 and arm64."""
    layers = {"arm64": busybox_of("arm64"), "amd64": busybox_layer()}
    images = [Image((layer,), CONFIG, (), name) for name, layer in layers.items()]
    assert image_engine.ok("load", input=several_platforms("both:1", *images)) == "Loaded image: both:1"
    return image_engine


def test_the_image_for_the_platform_runs(both: Engine) -> None:
    assert both.run("both:1") == "x86_64"
    assert both.run("--platform", "linux/arm64", "both:1") == "aarch64"
    assert both.run("--platform", "linux/arm64/v8", "both:1", "sh", "-c", "uname -m; id -un") == "aarch64\nroot"
    missing = both.docker("create", "--pull", "never", "--platform", "linux/s390x", "both:1")
    assert missing.code != 0
    assert "its platform (linux/amd64, linux/arm64) does not match the specified platform (linux/s390x)" in missing.err


def test_exec_stop_and_start_under_emulation(both: Engine) -> None:
    name = both.start(
        "--platform", "linux/arm64", "both:1", "sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done"
    )
    assert both.ok("exec", name, "uname", "-m") == "aarch64"
    shown = both.inspect(name)
    assert shown["ImageManifestDescriptor"]["platform"] == {"architecture": "arm64", "os": "linux"}
    (listed,) = both.call("GET", "/containers/json").json
    assert listed["ImageManifestDescriptor"] == shown["ImageManifestDescriptor"]
    assert both.ok("exec", "--user", "alice", name, "sh", "-c", "id -un") == "alice"
    both.ok("stop", name)
    assert both.inspect(name)["State"]["ExitCode"] == 7
    both.ok("start", name)
    assert both.ok("exec", name, "uname", "-m") == "aarch64"


def test_a_workload_that_ends_takes_the_emulator_from_nobody(both: Engine) -> None:
    first, second = (both.start("--platform", "linux/arm64", "both:1", "sleep", "1000") for _ in range(2))
    both.ok("rm", "--force", first)
    assert both.ok("exec", second, "uname", "-m") == "aarch64"
    assert both.run("--platform", "linux/arm64", "both:1") == "aarch64"


def test_a_foreign_image_without_a_platform_is_run_with_dockers_warning(image_engine: Engine) -> None:
    image = Image((busybox_of("arm64"),), CONFIG, (), "arm64")
    image_engine.ok("load", input=several_platforms("arm:1", image))
    done = image_engine.docker("run", "--rm", "arm:1")
    assert (done.code, done.out) == (0, "aarch64\n")
    assert WARNING in done.err
    done = image_engine.docker("run", "--rm", "--platform", "linux/arm64", "arm:1")
    assert (done.code, done.out, done.err) == (0, "aarch64\n", "")


def test_what_cannot_run_says_what_to_install(image_engine: Engine) -> None:
    image = Image((busybox_of("arm64"),), CONFIG, (), "sparc")
    image_engine.ok("load", input=several_platforms("other:1", image))
    done = image_engine.docker("run", "--rm", "other:1")
    assert done.code == 125
    assert "the image is for linux/sparc, which this host (linux/amd64) runs only by emulation: no emulator" in done.err
    assert image_engine.ok("ps", "-aq") == ""


def test_info_tells_which_platforms_run(image_engine: Engine) -> None:
    status = dict(image_engine.call("GET", "/info").json["DriverStatus"])
    assert {"linux/amd64", "linux/386", "linux/arm64", "linux/s390x"} <= set(status["Platforms"].split(", "))


def of(architecture: str, parameter: str = "platform") -> str:
    """The query that names a platform; the CLI has options for all of them only since 28."""
    return urlencode({parameter: json.dumps({"os": "linux", "architecture": architecture})})


def test_saved_loaded_inspected_and_removed_by_platform(both: Engine, tmp_path: Path) -> None:
    both.ok("save", "--output", str(tmp_path / "all.tar"), "both:1")
    only = both.call("GET", f"/v1.48/images/both:1/get?{of('arm64')}").body
    (listed,) = [
        each for each in both.call("GET", "/v1.47/images/json?manifests=1").json if each["RepoTags"] == ["both:1"]
    ]
    shown = {each["ImageData"]["Platform"]["architecture"]: each for each in listed["Manifests"]}
    assert set(shown) == {"amd64", "arm64"}
    if "--tree" in both.ok("image", "ls", "--help"):
        assert "linux/arm64" in both.ok("image", "ls", "--tree")
    arm = both.call("GET", f"/v1.49/images/both:1/json?{of('arm64')}").json
    assert (arm["Architecture"], arm["RepoTags"]) == ("arm64", ["both:1"])
    assert both.call("GET", f"/v1.48/images/both:1/history?{of('arm64')}").json[0]["Id"] == arm["Id"]
    assert both.call("DELETE", f"/v1.50/images/both:1?{of('amd64', 'platforms')}").status == 200
    assert json.loads(both.ok("image", "inspect", "both:1"))[0]["Id"] == arm["Id"]
    both.ok("rmi", "both:1")
    assert both.ok("load", input=only) == "Loaded image: both:1"
    assert json.loads(both.ok("image", "inspect", "both:1"))[0]["Architecture"] == "arm64"
    headers = {"Content-Type": "application/x-tar"}
    whole = (tmp_path / "all.tar").read_bytes()
    assert both.call("POST", f"/v1.48/images/load?{of('amd64')}", data=whole, headers=headers).status == 200
    assert json.loads(both.ok("image", "inspect", "both:1"))[0]["Architecture"] == "amd64"
    both.ok("load", "--input", str(tmp_path / "all.tar"))
    assert both.run("--platform", "linux/arm64", "both:1") == "aarch64"


def test_built_for_another_platform(both: Engine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM both:1\nARG TARGETARCH\nARG BUILDPLATFORM\nRUN uname -m >/machine\n"
        "RUN echo $TARGETARCH $BUILDPLATFORM >>/machine\nCMD cat /machine\n"
    )
    for platform, machine, architecture in (("linux/arm64", "aarch64", "arm64"), ("linux/amd64", "x86_64", "amd64")):
        built = both.docker("build", "--platform", platform, "-t", "made:1", str(tmp_path), env=CLASSIC)
        assert built.code == 0, built
        assert json.loads(both.ok("image", "inspect", "made:1"))[0]["Architecture"] == architecture
        assert both.run("--platform", platform, "made:1") == f"{machine}\n{architecture} linux/amd64"


def test_built_of_nothing_for_another_platform(image_engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY file /\n")
    (tmp_path / "file").write_text("x")
    for architecture in ("amd64", "arm64", "amd64"):
        built = image_engine.docker(
            "build", "--platform", f"linux/{architecture}", "-t", "none:1", str(tmp_path), env=CLASSIC
        )
        assert built.code == 0, built
        assert json.loads(image_engine.ok("image", "inspect", "none:1"))[0]["Architecture"] == architecture
    assert "Using cache" in built.out


def test_pushed_by_us_read_by_skopeo_and_pulled_platform_by_platform(
    both: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Registry(tmp_path_factory.mktemp("registry"), both.netns) as registry:
        name = f"{registry.name}/{unique('r')}:1"
        both.ok("tag", "both:1", name)
        both.ok("push", name)
        index = json.loads(registry.run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"))
        assert {each["platform"]["architecture"] for each in index["manifests"]} == {"amd64", "arm64"}
        both.ok("rmi", name)
        both.ok("rmi", "both:1")
        done = both.docker("run", "--rm", name)
        assert (done.code, done.out) == (0, "x86_64\n"), done
        missing = both.docker("create", "--pull", "never", "--platform", "linux/arm64", name)
        assert "does not match the specified platform (linux/arm64)" in missing.err
        done = both.docker("run", "--rm", "--platform", "linux/arm64", name)
        assert (done.code, done.out) == (0, "aarch64\n"), done
        assert both.run(name) == "x86_64"
        shown = json.loads(both.ok("image", "inspect", name))[0]
        assert (shown["Architecture"], len(shown["RepoDigests"])) == ("amd64", 1)
        repository, _, tag = name.rpartition(":")
        pushed = both.call("POST", f"/v1.46/images/{repository}/push?tag={tag}&{of('arm64')}", headers=NO_LOGIN)
        assert b'"aux"' in pushed.body
        raw = json.loads(registry.run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"))
        assert "config" in raw


def test_several_platforms_are_removed_together_or_not_at_all(both: Engine) -> None:
    arm, amd, other = (json.dumps({"os": "linux", "architecture": name}) for name in ("arm64", "amd64", "s390x"))
    path = "/v1.50/images/both:1?"
    assert both.call("DELETE", path + urlencode({"platforms": [amd, other]}, doseq=True)).status == 404
    assert both.run("both:1") == "x86_64"
    done = both.call("DELETE", path + urlencode({"platforms": [arm, amd]}, doseq=True))
    assert (done.status, [each["Untagged"] for each in done.json if "Untagged" in each]) == (200, ["both:1"])


def test_several_platforms_in_one_call(both: Engine) -> None:
    """Since API 1.52; before, that is refused."""
    chosen = urlencode([("platform", json.dumps({"os": "linux", "architecture": each})) for each in ("arm64", "amd64")])
    assert both.call("GET", f"/v1.51/images/both:1/get?{chosen}").status == 400
    saved = both.call("GET", f"/v1.52/images/both:1/get?{chosen}")
    assert saved.status == 200
    missing = urlencode({"platform": json.dumps({"os": "linux", "architecture": "s390x"})})
    assert both.call("GET", f"/v1.52/images/both:1/get?{chosen}&{missing}").status == 404
    both.ok("rmi", "both:1")
    headers = {"Content-Type": "application/x-tar"}
    loaded = both.call("POST", f"/v1.52/images/load?{chosen}", data=saved.body, headers=headers)
    assert b"Loaded image: both:1" in loaded.body
    assert both.run("both:1") == "x86_64"
    assert both.run("--platform", "linux/arm64", "both:1") == "aarch64"


def test_dockerd_loads_the_hosts_of_what_is_saved(both: Engine, tmp_path: Path) -> None:
    both.ok("save", "--output", str(tmp_path / "all.tar"), "both:1")
    with Dockerd() as dockerd:
        other = Engine(dockerd.host, dockerd.netns)
        assert "Loaded image: both:1" in other.ok("load", "--input", str(tmp_path / "all.tar"))
        assert other.run("--network", "none", "both:1") == "x86_64"


def test_other_tools_read_what_is_saved_and_are_read(both: Engine, tmp_path: Path) -> None:
    both.ok("save", "--output", str(tmp_path / "ours.tar"), "both:1")
    source, target = f"oci-archive:{tmp_path}/ours.tar", f"oci-archive:{tmp_path}/theirs.tar:docker.io/library/both:2"
    subprocess.run(["skopeo", "copy", "--all", source, target], check=True, capture_output=True, timeout=120)
    both.ok("load", "--input", str(tmp_path / "theirs.tar"))
    assert both.run("--platform", "linux/arm64", "both:2") == "aarch64"
    assert both.run("both:2") == "x86_64"


def test_imported_for_another_platform(image_engine: Engine) -> None:
    image_engine.ok("import", "--platform", "linux/arm64", "-", "imported:1", input=busybox_of("arm64"))
    assert json.loads(image_engine.ok("image", "inspect", "imported:1"))[0]["Architecture"] == "arm64"
    assert image_engine.run("--platform", "linux/arm64", "imported:1", "uname", "-m") == "aarch64"
