"""Bind mounts, named and anonymous volumes, tmpfs, /dev/shm."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import hostmounts
from tests.support.engine import IMAGE, Engine
from tools.images import Image, directory, docker_archive, entry, tar


def mount_line(engine: Engine, target: str, *arguments: str) -> list[str]:
    """Type and options with which target is mounted in a container."""
    for line in engine.run(*arguments, IMAGE, "cat", "/proc/mounts").splitlines():
        words = line.split()
        if words[1] == target:
            return [words[2], *words[3].split(",")]
    raise AssertionError(f"{target} is not mounted")


def test_bind(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("host")
    out = engine.run("-v", f"{tmp_path}:/m", IMAGE, "sh", "-c", "cat /m/in; echo container >/m/out")
    assert out == "host"
    assert (tmp_path / "out").read_text() == "container\n"


def test_bind_read_only(engine: Engine, tmp_path: Path) -> None:
    result = engine.docker("run", "--rm", "-v", f"{tmp_path}:/m:ro", IMAGE, "touch", "/m/x")
    assert (result.code, result.err) == (1, "touch: /m/x: Read-only file system\n")


def test_bind_of_a_file(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("content")
    assert engine.run("-v", f"{tmp_path}/f:/etc/f", IMAGE, "cat", "/etc/f") == "content"


def test_bind_makes_a_missing_source(engine: Engine, tmp_path: Path) -> None:
    engine.run("-v", f"{tmp_path}/new/deep:/m", IMAGE, "touch", "/m/x")
    assert (tmp_path / "new/deep/x").exists()


def test_bind_hides_what_the_image_has(engine: Engine, tmp_path: Path) -> None:
    assert engine.run("-v", f"{tmp_path}:/var/data", IMAGE, "ls", "/var/data") == ""


def test_bind_follows_a_link_inside_the_root_only(engine: Engine, tmp_path: Path) -> None:
    """A link in the container's tree that points to /etc names the container's /etc."""
    engine.ok("create", "--name", "linked", IMAGE, "true")
    engine.run("-v", "trap:/trap", IMAGE, "ln", "-s", "/etc", "/trap/link")
    (tmp_path / "marker").write_text("x")
    out = engine.run("-v", "trap:/trap", "-v", f"{tmp_path}:/trap/link/inner", IMAGE, "ls", "/etc/inner")
    assert out == "marker"
    assert not Path("/etc/inner").exists()


@pytest.mark.parametrize("mount", [["-v", "{folder}:/data"], ["--tmpfs", "/data"]])
def test_a_link_of_the_image_that_leads_nowhere(image_engine: Engine, tmp_path: Path, mount: list[str]) -> None:
    """What it leads to is made, and is where the mount is."""
    (tmp_path / "data").symlink_to("/srv/deep/data")
    (tmp_path / "resolv.conf").symlink_to("stub.conf")
    made = image_engine.ok("create", IMAGE)
    for name, folder in (("data", "/"), ("resolv.conf", "/etc/")):
        image_engine.ok("cp", str(tmp_path / name), f"{made}:{folder}")
    image_engine.ok("commit", made, "links")
    mounts = (word.format(folder=tmp_path) for word in mount)
    assert " /srv/deep/data " in image_engine.run(*mounts, "links", "cat", "/proc/mounts")


def test_a_new_volume_gets_the_content_of_the_image(engine: Engine) -> None:
    out = engine.run("-v", "copied:/var/data", IMAGE, "sh", "-c", "cat /var/data/seed; stat -c '%u:%g' /var/data/seed")
    assert out == "from the image\n1000:1000"
    assert engine.run("-v", "copied:/x", IMAGE, "ls", "/x") == "seed"


def test_a_used_volume_is_not_filled_again(engine: Engine) -> None:
    engine.run("-v", "kept:/x", IMAGE, "touch", "/x/mine")
    assert engine.run("-v", "kept:/var/data", IMAGE, "ls", "/var/data") == "mine"


def test_nocopy(engine: Engine) -> None:
    assert engine.run("-v", "empty:/var/data:nocopy", IMAGE, "ls", "/var/data") == ""
    mount = "type=volume,src=empty2,dst=/var/data,volume-nocopy"
    assert engine.run("--mount", mount, IMAGE, "ls", "/var/data") == ""


@pytest.mark.beyond_reference("since Docker 26")
def test_a_part_of_a_volume(engine: Engine) -> None:
    script = "mkdir -p /v/part/deep; echo inner > /v/part/deep/f; ln -s part /v/link; ln -s /etc /v/leads-out"
    engine.run("-v", "whole:/v", IMAGE, "sh", "-c", script)
    whole = "type=volume,src=whole,dst=/m,volume-subpath="
    for subpath in ("part/deep", "link/deep"):
        seen = engine.run("--mount", whole + subpath, IMAGE, "sh", "-c", "cat /m/f; touch /m/g; rm /m/g; ls /m")
        assert seen == "inner\nf"
    for subpath in ("nowhere", "leads-out", "part/deep/f/g"):
        result = engine.docker("run", "--mount", whole + subpath, IMAGE, "true")
        assert result.code != 0, subpath
        assert "cannot access path" in result.err
    refused = engine.docker("create", "--mount", whole + "../x", IMAGE)
    assert "subpath must be a relative path within the volume" in refused.err
    assert engine.docker("volume", "rm", "whole").code == 1
    [identity] = {each["Id"] for each in engine.call("GET", "/containers/json?all=1").json[:1]}
    [mount] = engine.inspect(identity)["HostConfig"]["Mounts"]
    assert mount["VolumeOptions"] == {"Subpath": "part/deep/f/g"}


def test_volume_outlives_its_container(engine: Engine) -> None:
    engine.run("-v", "data:/d", IMAGE, "sh", "-c", "echo kept >/d/f")
    assert engine.run("-v", "data:/e:ro", IMAGE, "cat", "/e/f") == "kept"


def test_volume_in_use_is_not_removed(engine: Engine) -> None:
    identity = engine.ok("create", "-v", "used:/d", IMAGE)
    result = engine.docker("volume", "rm", "used")
    assert result.code == 1
    assert f"remove used: volume is in use - [{identity}]" in result.err
    engine.ok("rm", identity)
    assert engine.ok("volume", "rm", "used") == "used"


def test_volume_commands(engine: Engine) -> None:
    assert engine.ok("volume", "create", "--label", "a=b", "vol") == "vol"
    found = engine.call("GET", "/volumes/vol").json
    assert (found["Name"], found["Driver"], found["Scope"], found["Labels"]) == ("vol", "local", "local", {"a": "b"})
    assert engine.ok("volume", "ls", "-q", "--filter", "label=a=b") == "vol"
    assert engine.ok("volume", "ls", "-q", "--filter", "dangling=true") == "vol"
    assert engine.call("GET", "/volumes/nope").message == "get nope: no such volume"
    missing = engine.docker("volume", "inspect", "nope")
    assert (missing.code, "no such volume" in missing.err.lower()) == (1, True)


def test_anonymous_volume(engine: Engine) -> None:
    identity = engine.ok("create", "-v", "/var/data", IMAGE, "cat", "/var/data/seed")
    mount = engine.inspect(identity)["Mounts"][0]
    assert (mount["Type"], mount["Destination"], mount["RW"], len(mount["Name"])) == ("volume", "/var/data", True, 64)
    assert engine.docker("start", "-a", identity).out == "from the image\n"
    engine.ok("rm", "-v", identity)
    assert engine.ok("volume", "ls", "-q") == ""


def test_volumes_from(engine: Engine) -> None:
    engine.ok("create", "--name", "source", "-v", "shared:/s", IMAGE)
    engine.run("-v", "shared:/s", IMAGE, "touch", "/s/x")
    assert engine.run("--volumes-from", "source", IMAGE, "ls", "/s") == "x"
    assert engine.docker("run", "--rm", "--volumes-from", "source:ro", IMAGE, "touch", "/s/y").code == 1


def test_mount_flags(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    assert engine.run("--mount", f"type=bind,src={tmp_path},dst=/m,readonly", IMAGE, "cat", "/m/f") == "x"
    assert engine.run("--mount", "type=volume,src=vol,dst=/v", IMAGE, "sh", "-c", "touch /v/a; ls /v") == "a"
    kind, *options = mount_line(engine, "/t", "--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700")
    assert kind == "tmpfs"
    assert {"size=1024k", "mode=700"} <= set(options)


def test_volume_with_options_is_a_mount_of_its_own(engine: Engine) -> None:
    engine.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=2m,uid=1000", "ram")
    kind, *options = mount_line(engine, "/r", "-v", "ram:/r")
    assert kind == "tmpfs"
    assert {"size=2048k", "uid=1000"} <= set(options)


def test_tmpfs(engine: Engine) -> None:
    kind, *options = mount_line(engine, "/t", "--tmpfs", "/t")
    assert kind == "tmpfs"
    assert {"rw", "nosuid", "nodev", "noexec"} <= set(options)
    kind, *options = mount_line(engine, "/t", "--tmpfs", "/t:rw,exec,size=2m,mode=1700")
    assert {"rw", "nosuid", "nodev", "size=2048k", "mode=1700"} <= set(options)
    assert "noexec" not in options


@pytest.fixture
def data(engine: Engine) -> Iterator[str]:
    """An image of one file."""
    name = f"data-{uuid.uuid4().hex[:8]}:1"
    layer = tar([directory("d"), entry("d/f", b"content")])
    engine.ok("load", input=docker_archive(Image((layer,), {"Labels": {"of": name}}, (name,))))
    yield name
    engine.docker("rmi", "-f", name)


def with_image(engine: Engine, source: str, *command: str, subpath: str = "") -> str:
    """A container with an image mounted at /m, made as a CLI of API 1.48 or newer does; its id."""
    mount = {"Type": "image", "Source": source, "Target": "/m", "ImageOptions": {"Subpath": subpath}}
    body = {"Image": IMAGE, "Cmd": command, "HostConfig": {"Mounts": [mount]}}
    made = engine.call("POST", "/v1.48/containers/create", body)
    assert made.status == 201, made
    identity: str = made.json["Id"]
    return identity


def test_an_image(engine: Engine, data: str) -> None:
    shown = engine.ok("start", "-a", with_image(engine, data, "sh", "-c", "ls /m /m/d; cat /m/d/f"))
    assert shown == "/m:\nd\n\n/m/d:\nf\ncontent"
    assert engine.ok("start", "-a", with_image(engine, data, "cat", "/m/f", subpath="d")) == "content"
    result = engine.docker("start", "-a", with_image(engine, data, "touch", "/m/x"))
    assert (result.code, result.err) == (1, "touch: /m/x: Read-only file system\n")
    result = engine.docker("start", with_image(engine, data, "true", subpath="x/y"))
    assert result.code == 1
    assert f"cannot access path x/y in image {data}: No such file or directory" in result.err


def test_an_image_that_is_mounted_stays(engine: Engine, data: str) -> None:
    id = with_image(engine, data, "cat", "/m/d/f")
    try:
        result = engine.docker("rmi", data)
        assert result.code == 1
        assert f'conflict: unable to remove repository reference "{data}" (must force)' in result.err
        assert f"container {id[:12]} is using its referenced image" in result.err
        engine.ok("image", "prune", "--all", "--force", "--filter", f"label=of={data}")
        assert engine.ok("start", "--attach", id) == "content"
        [point] = engine.inspect(id)["Mounts"]
        shown = {name: point[name] for name in ("Type", "Name", "Destination", "RW")}
        assert shown == {"Type": "image", "Name": data, "Destination": "/m", "RW": False}
        assert engine.docker_bytes("cp", f"{id}:/m/d/f", "-").stdout[:2] == b"f\0"
        assert engine.ok("commit", id, f"{data}-committed")
        assert engine.ok("run", "--rm", f"{data}-committed", "ls", "/m") == ""
    finally:
        engine.docker("rm", "-f", id)
        engine.docker("rmi", "-f", f"{data}-committed")
    engine.ok("rmi", data)


def test_shm_size(engine: Engine) -> None:
    assert {"size=65536k", "nosuid", "nodev", "noexec"} <= set(mount_line(engine, "/dev/shm"))
    assert "size=1024k" in mount_line(engine, "/dev/shm", "--shm-size", "1m")


@pytest.mark.parametrize("flag", [["-v"], ["--mount"]])
def test_propagation(engine: Engine, tmp_path: Path, flag: list[str]) -> None:
    value = f"{tmp_path}:/m:rslave" if flag == ["-v"] else f"type=bind,src={tmp_path},dst=/m,bind-propagation=rslave"
    identity = engine.ok("create", *flag, value, IMAGE)
    found = engine.inspect(identity)
    if flag == ["-v"]:
        assert found["HostConfig"]["Binds"] == [value]
    assert [mount["Propagation"] for mount in found["Mounts"]] == ["rslave"]


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of the host's that propagates nothing."""
    point = tmp_path / "mounted"
    point.mkdir()
    hostmounts.mount("t", point, "tmpfs")
    hostmounts.mount("", point, flags=hostmounts.MS_PRIVATE)
    yield point
    hostmounts.unmount(point)


@pytest.mark.beyond_reference("does not see the mounts of tests")
@pytest.mark.parametrize(("kind", "needed"), [("rshared", "shared"), ("rslave", "shared or slave")])
def test_propagation_that_the_hosts_mount_does_not_have(engine: Engine, mounted: Path, kind: str, needed: str) -> None:
    source = mounted / "inner"
    name = engine.ok("create", "-v", f"{source}:/m:{kind}", IMAGE, "true")
    answer = engine.call("POST", f"/containers/{name}/start")
    assert answer.status == 500
    assert answer.message == f"path {source} is mounted on {mounted} but it is not a {needed} mount"
    assert engine.inspect(name)["State"]["ExitCode"] == 128
    assert engine.docker("run", "--rm", "-v", f"{source}:/m:{kind}", IMAGE, "true").code == 125
    hostmounts.mount("", mounted, flags=hostmounts.MS_SHARED)
    engine.ok("start", "-a", name)


@pytest.mark.beyond_reference("does not see the mounts of tests")
def test_propagation_brings_the_hosts_later_mounts(engine: Engine, mounted: Path) -> None:
    hostmounts.mount("", mounted, flags=hostmounts.MS_SHARED)
    (mounted / "later").mkdir()
    names = [engine.start("-v", f"{mounted}:/m:{kind}", IMAGE, "sleep", "1000") for kind in ("rslave", "rprivate")]
    hostmounts.mount("t", mounted / "later", "tmpfs")
    (mounted / "later/file").touch()
    assert [engine.ok("exec", name, "ls", "/m/later") for name in names] == ["file", ""]


def test_modes_in_inspect(engine: Engine) -> None:
    engine.ok(
        "create", "--name", "mounted", "-v", "/anonymous", "-v", "named:/named", "--mount", "type=volume,dst=/m", IMAGE
    )
    engine.ok("create", "--name", "borrower", "--volumes-from", "mounted", IMAGE)
    for name, modes in (("mounted", ["", "z", "z"]), ("borrower", ["", "", ""])):
        found = {each["Destination"]: each["Mode"] for each in engine.inspect(name)["Mounts"]}
        assert [found[place] for place in ("/anonymous", "/m", "/named")] == modes, name


def test_mounts_in_inspect(engine: Engine, tmp_path: Path) -> None:
    engine.ok("create", "--name", "mounted", "-v", f"{tmp_path}:/bind:ro", "-v", "named:/named", IMAGE)
    bind, volume = sorted(engine.inspect("mounted")["Mounts"], key=lambda each: each["Destination"])
    assert (bind["Type"], bind["Source"], bind["Mode"], bind["RW"]) == ("bind", str(tmp_path), "ro", False)
    assert (volume["Type"], volume["Name"], volume["Driver"], volume["RW"]) == ("volume", "named", "local", True)
    assert volume["Source"].endswith("/_data")


def test_writes_stay_in_their_container(engine: Engine) -> None:
    engine.ok("run", "--name", "one", IMAGE, "sh", "-c", "echo changed >/etc/passwd; rm -r /var; mkdir /var")
    assert engine.run(IMAGE, "cat", "/var/data/seed") == "from the image"
    assert "alice" in engine.run(IMAGE, "cat", "/etc/passwd")
    engine.ok("start", "-a", "one")


def test_writes_survive_a_restart(engine: Engine) -> None:
    engine.start("--name", "keeps", IMAGE, "sh", "-c", "echo x >>/count; exec sleep 100")
    engine.ok("restart", "-t", "0", "keeps")
    engine.ok("exec", "keeps", "sh", "-c", "while [ $(wc -l </count) -lt 2 ]; do usleep 10000; done")
    assert engine.ok("exec", "keeps", "cat", "/count") == "x\nx"
