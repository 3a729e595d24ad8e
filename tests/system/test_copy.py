"""docker cp and docker export."""

import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from tests.support.engine import IMAGE, Answer, Engine, unique
from tools.images import directory, entry, symlink, tar

TREE = (
    "mkdir -p /d/sub; echo hi >/d/f; chmod 4755 /d/f; ln /d/f /d/hard; ln -s f /d/soft; ln -s /d /ld; "
    "chown 1000:50 /d/sub"
)


@pytest.fixture
def running(engine: Engine) -> str:
    return engine.start(IMAGE, "sleep", "1000")


@pytest.fixture
def stopped(engine: Engine) -> str:
    made = engine.ok("create", IMAGE, "sh", "-c", TREE)
    engine.ok("start", "-a", made)
    return made


def put(engine: Engine, container: str, path: str, data: bytes, query: str = "") -> Answer:
    headers = {"Content-Type": "application/x-tar"}
    return engine.call("PUT", f"/containers/{container}/archive?path={path}{query}", data=data, headers=headers)


def get(engine: Engine, container: str, path: str) -> tarfile.TarFile:
    answer = engine.call("GET", f"/containers/{container}/archive?path={path}")
    assert answer.status == 200, answer.message
    return tarfile.open(fileobj=io.BytesIO(answer.body))


def test_files_and_folders_come_out(engine: Engine, stopped: str, tmp_path: Path) -> None:
    engine.ok("cp", f"{stopped}:/d/f", str(tmp_path / "one"))
    assert (tmp_path / "one").read_text() == "hi\n"
    engine.ok("cp", f"{stopped}:/d", str(tmp_path / "all"))
    assert sorted(os.listdir(tmp_path / "all")) == ["f", "hard", "soft", "sub"]
    assert os.readlink(tmp_path / "all/soft") == "f"
    assert (tmp_path / "all/f").stat().st_ino == (tmp_path / "all/hard").stat().st_ino
    (tmp_path / "into").mkdir()
    engine.ok("cp", f"{stopped}:/d/.", str(tmp_path / "into"))
    assert sorted(os.listdir(tmp_path / "into")) == ["f", "hard", "soft", "sub"]
    engine.ok("cp", f"{stopped}:/ld", str(tmp_path / "link"))
    assert os.readlink(tmp_path / "link") == "/d"
    engine.ok("cp", "-L", f"{stopped}:/ld", str(tmp_path / "followed"))
    assert (tmp_path / "followed/f").read_text() == "hi\n"
    with tarfile.open(fileobj=io.BytesIO(engine.docker_bytes("cp", f"{stopped}:/d", "-").stdout)) as archive:
        assert set(archive.getnames()) == {"d", "d/f", "d/hard", "d/soft", "d/sub"}
        assert archive.getmember("d/f").mode & 0o7777 == 0o4755
        assert (archive.getmember("d/sub").uid, archive.getmember("d/sub").gid) == (1000, 50)


@pytest.mark.parametrize("which", ["running", "stopped"])
def test_files_and_folders_go_in(engine: Engine, which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    container = request.getfixturevalue(which)
    (tmp_path / "tree/inner").mkdir(parents=True)
    (tmp_path / "tree/inner/f").write_text("from outside")
    (tmp_path / "tree/l").symlink_to("inner/f")
    engine.ok("cp", str(tmp_path / "tree"), f"{container}:/tmp")
    engine.ok("cp", f"{tmp_path}/tree/.", f"{container}:/home")
    engine.ok("cp", str(tmp_path / "tree/inner/f"), f"{container}:/tmp/renamed")
    engine.ok("cp", "-", f"{container}:/tmp", input=tar([entry("streamed", b"1", uid=1000)]))
    with get(engine, container, "/tmp") as archive:
        assert {"tmp/tree/inner/f", "tmp/tree/l", "tmp/renamed", "tmp/streamed"} <= set(archive.getnames())
        assert archive.getmember("tmp/streamed").uid == 1000
    with get(engine, container, "/home") as archive:
        assert "home/inner/f" in archive.getnames()
    if which == "running":
        assert engine.ok("exec", container, "cat", "/tmp/tree/l") == "from outside"
    else:
        engine.ok("start", "-a", container)


@pytest.mark.beyond_reference("dockerd 20.10 looks for the container's user on the host")
def test_ownership(engine: Engine, tmp_path: Path) -> None:
    made = engine.ok("create", "--user", "1000:50", IMAGE, "true")
    (tmp_path / "f").touch()
    os.chown(tmp_path / "f", 7, 7)
    engine.ok("cp", str(tmp_path / "f"), f"{made}:/tmp/plain")
    engine.ok("cp", "-a", str(tmp_path / "f"), f"{made}:/tmp/kept")
    assert put(engine, made, "/tmp", tar([entry("users")]), "&copyUIDGID=1").status == 200
    with get(engine, made, "/tmp") as archive:
        found = {name: (archive.getmember(f"tmp/{name}").uid, archive.getmember(f"tmp/{name}").gid)
                 for name in ("plain", "kept", "users")}  # fmt: skip
    assert found == {"plain": (7, 7), "kept": (1000, 50), "users": (1000, 50)}  # as dockerd has it


@pytest.mark.parametrize("running", [True, False])
def test_volumes_and_binds_are_where_the_container_has_them(engine: Engine, running: bool, tmp_path: Path) -> None:
    name = unique("volume")
    (tmp_path / "host").mkdir()
    (tmp_path / "host/h").write_text("of the host")
    arguments = ["-v", f"{name}:/new/v", "-v", f"{tmp_path}/host:/b", "-v", f"{tmp_path}/host:/ro:ro", "--tmpfs", "/t"]
    made = engine.ok("create", *arguments, IMAGE, "sleep", "1000")
    if running:
        engine.ok("start", made)
    (tmp_path / "f").write_text("in")
    engine.ok("cp", str(tmp_path / "f"), f"{made}:/new/v/f")
    engine.ok("cp", str(tmp_path / "f"), f"{made}:/b/f")
    assert (tmp_path / "host/f").read_text() == "in"
    assert engine.run("-v", f"{name}:/v", IMAGE, "cat", "/v/f") == "in"
    engine.ok("cp", f"{made}:/ro/h", str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "of the host"
    answer = put(engine, made, "/ro", tar([entry("x")]))
    assert (answer.status >= 400, answer.message) == (True, "mounted volume is marked read-only")
    with tarfile.open(fileobj=io.BytesIO(engine.call("GET", f"/containers/{made}/export").body)) as archive:
        assert not {"new/v/f", "b/h", "proc/self"} & set(archive.getnames())
    engine.ok("rm", "-f", made)
    engine.ok("volume", "rm", name)


def test_a_read_only_container(engine: Engine) -> None:
    name = unique("volume")
    made = engine.start("--read-only", "-v", f"{name}:/v", IMAGE, "sleep", "1000")
    answer = put(engine, made, "/etc", tar([entry("x")]))
    assert (answer.status >= 400, answer.message) == (True, "container rootfs is marked read-only")
    assert put(engine, made, "/v", tar([entry("x", b"1")])).status == 200
    assert engine.ok("exec", made, "cat", "/v/x") == "1"
    engine.ok("rm", "-f", made)
    engine.ok("volume", "rm", name)


def test_the_engines_own_files_are_the_containers(engine: Engine, running: str) -> None:
    with get(engine, running, "/etc/hosts") as archive:
        file = archive.extractfile("hosts")
        assert file is not None
        assert file.read().decode().strip() == engine.ok("exec", running, "cat", "/etc/hosts")
    with get(engine, running, "/proc") as archive:
        assert archive.getnames() == ["proc"]


@pytest.mark.parametrize("what", ["file", "link"])
def test_nothing_takes_the_place_of_what_is_mounted(engine: Engine, tmp_path: Path, what: str) -> None:
    """A container that lost its /etc/hosts so could be copied from no more, and not started again."""
    name = unique("volume")
    made = engine.start("-v", f"{name}:/home/volume", IMAGE, "sleep", "1000")
    hosts = engine.ok("exec", made, "cat", "/etc/hosts")
    entries = [entry(path) if what == "file" else symlink(path, "/nowhere") for path in ("hosts", "volume")]
    for folder, one in zip(("/etc", "/home"), entries, strict=True):
        answer = put(engine, made, folder, tar([one]))
        assert answer.status >= 400
        assert "device or resource busy" in answer.message
    assert engine.ok("exec", made, "cat", "/etc/hosts") == hosts
    engine.ok("restart", "-t", "0", made)
    engine.ok("cp", f"{made}:/etc/hosts", str(tmp_path))
    engine.ok("rm", "-f", made)
    engine.ok("volume", "rm", name)


def test_directories_over_files(engine: Engine, stopped: str) -> None:
    for data, text in (
        (tar([directory("f")]), 'cannot overwrite non-directory "/d/f" with directory "/d"'),
        (tar([entry("sub")]), 'cannot overwrite directory "/d/sub" with non-directory "/d"'),
    ):
        answer = put(engine, stopped, "/d", data, "&noOverwriteDirNonDir=1")
        assert answer.status >= 400
        assert text in answer.message
        assert put(engine, stopped, "/d", data).status == 200
    with get(engine, stopped, "/d") as archive:
        assert (archive.getmember("d/f").isdir(), archive.getmember("d/sub").isfile()) == (True, True)


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/nope", 404, "Could not find the file /nope in container"),
        ("/d/f/x", 400, "not a directory"),
        ("/d/f/", 400, "not a directory"),
        ("", 400, "bad parameter: path"),
    ],
)
def test_paths_that_lead_nowhere(engine: Engine, stopped: str, path: str, status: int, text: str) -> None:
    for method in ("HEAD", "GET"):
        answer = engine.call(method, f"/containers/{stopped}/archive?path={path}")
        assert answer.status in (status, 500 if status == 400 else status)  # dockerd says 500 of some
        if method == "GET":
            assert text in answer.message
    assert put(engine, stopped, path, b"").status >= 400
    if path == "/d/f/x":
        assert "extraction point is not a directory" in put(engine, stopped, "/d/f", b"").message


def test_events(engine: Engine, running: str) -> None:
    begun = time.time()
    get(engine, running, "/etc").close()
    assert put(engine, running, "/tmp", tar([entry("x")])).status == 200
    assert engine.call("GET", f"/containers/{running}/export").status == 200
    seen = []
    for event in engine.python().events(since=begun, decode=True):
        if event["Actor"]["ID"] == running:
            seen.append(event["Action"])
        if event["Action"] == "export":
            break
    assert seen == ["archive-path", "extract-to-dir", "export"]


def test_docker_py(engine: Engine, stopped: str) -> None:
    container = engine.python().containers.get(stopped)
    stream, found = container.get_archive("/d/f")
    data = b"".join(stream)
    assert (found["name"], found["size"]) == ("f", 3)
    assert container.put_archive("/tmp", data)
    with get(engine, stopped, "/tmp/f") as archive:
        assert archive.getmember("f").size == 3


def test_export_and_import(engine: Engine, stopped: str) -> None:
    data = engine.docker_bytes("export", stopped).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = set(archive.getnames())
        assert {"d/f", ".dockerenv", "dev/console", "etc/resolv.conf", "proc", "bin/busybox"} <= names
        assert archive.getmember("d/f").mode & 0o7777 == 0o4755
        links = {archive.getmember(name).type for name in ("d/f", "d/hard")}
        assert links == {tarfile.REGTYPE, tarfile.LNKTYPE}
    tag = f"{unique('exported')}:1"
    engine.ok("import", "-", tag, input=data)
    assert engine.run(tag, "cat", "/d/soft") == "hi"
    engine.ok("rmi", tag)


@pytest.mark.shoal_only
def test_a_container_that_swaps_links_during_copies_leads_nowhere(engine: Engine, tmp_path: Path) -> None:
    """`/w` is a folder at one moment and a link to the host's path of a secret at the next."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "f").write_text("of the host")
    script = (
        f"mkdir -p /real /a; echo inside >/real/f; ln -s {secret} /link; ln -s ../../../../../../../..{secret} /a/up; "
        "while true; do mv -T /real /w; mv -T /w /real; mv -T /link /w; mv -T /w /link; mv -T /a/up /w; "
        "mv -T /w /a/up; done"
    )
    made = engine.start(IMAGE, "sh", "-c", script)
    data = tar([entry("written", b"x"), symlink("abs", str(secret)), entry("abs/through", b"x")])
    outcomes = set()
    for _ in range(10):
        answer = engine.call("GET", f"/containers/{made}/archive?path=/w/f")
        outcomes.add(answer.status)
        assert b"of the host" not in answer.body
        put(engine, made, "/w", data)
        put(engine, made, "/", tar([entry("w/written", b"x")]))
    assert os.listdir(secret) == ["f"]
    assert (secret / "f").read_text() == "of the host"
    assert outcomes <= {200, 400, 404}
    engine.ok("rm", "-f", made)


HOSTILE = {
    "a name that leads out": [entry("../../../../../../../../tmp/HOSTILE")],
    "a link out, then through it": [symlink("out", "../../../../../../var/tmp"), entry("out/HOSTILE")],
    "a hard link out": [entry("h", kind=tarfile.LNKTYPE, link="../../../../../../etc/shadow")],
    "a name too long": [entry("n" * 300)],
    "a name with a zero": [entry("a\0b/../../x")],
}


@pytest.mark.parametrize("attack", HOSTILE)
@pytest.mark.parametrize("which", ["running", "stopped"])
def test_hostile_archives(engine: Engine, which: str, attack: str, request: pytest.FixtureRequest) -> None:
    """What an archive says of places outside, dockerd and we refuse; nothing outside is touched."""
    container = request.getfixturevalue(which)
    answer = put(engine, container, "/tmp", tar(HOSTILE[attack]))
    assert 400 <= answer.status <= 500 or attack == "a name with a zero"
    assert not any(Path(folder, "HOSTILE").exists() for folder in ("/tmp", "/var/tmp"))


@pytest.mark.shoal_only
def test_bombs_are_bounded(engine: Engine, stopped: str) -> None:
    """A small compressed file of a gigabyte of zeros is more than a thousand times its size."""
    import zstandard

    info = tarfile.TarInfo("zeros")
    info.size = 1 << 30
    packed = io.BytesIO()
    with zstandard.ZstdCompressor(level=3).stream_writer(packed, closefd=False) as writer:
        writer.write(info.tobuf())
        for _ in range(1 << 10):
            writer.write(bytes(1 << 20))
    answer = put(engine, stopped, "/tmp", packed.getvalue())
    assert (answer.status, "max_unpack_ratio" in answer.message) == (400, True)


@pytest.mark.shoal_only
def test_nothing_is_left_of_copies(engine: Engine, running: str, stopped: str) -> None:
    state = str(Path(engine.path).parents[1])

    def mounted() -> int:
        return sum(state in line for line in Path("/proc/self/mountinfo").read_text().splitlines())

    before = mounted()
    for container in (running, stopped):
        for _ in range(3):
            assert put(engine, container, "/tmp", tar([entry("x")])).status == 200
            get(engine, container, "/tmp").close()
            assert put(engine, container, "/tmp", b"garbage" * 100).status == 400
    assert mounted() <= before  # of others some may have gone
    engine.ok("start", "-a", stopped)
