"""version, info, ping, negotiation, system df."""

import re

import pytest

from tests.support.engine import IMAGE, Engine

PING_HEADERS = ("Api-Version", "Docker-Experimental", "Ostype", "Server")


def test_ping(engine: Engine) -> None:
    answer = engine.call("GET", "/_ping")
    assert (answer.status, answer.body) == (200, b"OK")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Cache-Control"] == "no-cache, no-store, must-revalidate"
    assert answer.headers["Pragma"] == "no-cache"
    assert answer.headers["Ostype"] == "linux"
    assert answer.headers["Server"].startswith("Docker/")
    head = engine.call("HEAD", "/_ping")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == "0"
    assert {name: head.headers[name] for name in PING_HEADERS} == {name: answer.headers[name] for name in PING_HEADERS}


def test_version_headers_are_on_every_answer(engine: Engine) -> None:
    for path in ("/info", "/containers/nope/json", "/nope"):
        answer = engine.call("GET", path)
        assert answer.headers.get("Api-Version") or (answer.status == 404 and path == "/nope")


def test_version(engine: Engine) -> None:
    found = engine.call("GET", "/version").json
    assert (found["Os"], found["Arch"]) == ("linux", "amd64")
    assert {"Version", "ApiVersion", "MinAPIVersion", "GitCommit", "GoVersion", "KernelVersion"} <= set(found)
    assert found["Components"][0]["Name"] == "Engine"
    assert engine.ok("version", "--format", "{{.Server.Version}}") == found["Version"]
    assert engine.docker("version").code == 0


def test_negotiation(engine: Engine) -> None:
    newest = engine.call("GET", "/version").json["ApiVersion"]
    assert engine.call("GET", f"/v{newest}/version").status == 200
    too_new = engine.call("GET", "/v9.9/version")
    assert too_new.status == 400
    assert re.fullmatch(r"client version 9\.9 is too new\. Maximum supported API version is 1\.\d+", too_new.message)
    oldest = engine.call("GET", "/version").json["MinAPIVersion"]
    too_old = engine.call("GET", "/v1.1/version")
    assert too_old.status == 400
    text = f"client version 1.1 is too old. Minimum supported API version is {oldest}, please upgrade"
    assert text in too_old.body.decode()
    result = engine.docker("version", env={"DOCKER_API_VERSION": "1.41"})
    assert result.code == 0
    assert "1.41" in result.out


def test_unknown_paths(engine: Engine) -> None:
    for path in ("/nope", "/v1.41/nope", "/v1.41/containers/x/y/z"):
        answer = engine.call("GET", path)
        assert (answer.status, answer.message) == (404, "page not found")
    assert engine.call("PUT", "/v1.41/version").status in (404, 405)


def test_info(engine: Engine) -> None:
    before = engine.call("GET", "/info").json
    assert (before["Containers"], before["Images"]) == (0, 1)
    engine.start(IMAGE, "sleep", "100")
    engine.start("--name", "paused", IMAGE, "sleep", "100")
    engine.ok("pause", "paused")
    engine.ok("create", IMAGE)
    found = engine.call("GET", "/info").json
    counts = [found[name] for name in ("Containers", "ContainersRunning", "ContainersPaused", "ContainersStopped")]
    assert counts == [3, 1, 1, 1]
    assert (found["OSType"], found["Architecture"], found["Swarm"]["LocalNodeState"]) == ("linux", "x86_64", "inactive")
    assert found["Driver"].startswith("overlay")
    assert found["DefaultRuntime"] in found["Runtimes"]
    assert "local" in found["Plugins"]["Volume"]
    assert {"bridge", "host", "null"} <= set(found["Plugins"]["Network"])
    assert any(option.startswith("name=seccomp") for option in found["SecurityOptions"])
    assert found["NCPU"] > 0
    assert found["MemTotal"] > 1 << 20
    engine.ok("unpause", "paused")


def test_info_by_the_cli(engine: Engine) -> None:
    out = engine.ok("info")
    for line in (" Containers: 0", " Images: 1", " OSType: linux", " Swarm: inactive", " Cgroup Version: "):
        assert line in out


def test_disk_usage(engine: Engine) -> None:
    engine.start(
        "-v", "vol:/v", IMAGE, "sh", "-c", "head -c 100000 /dev/zero >/f; head -c 5000 /dev/zero >/v/f; sleep 100"
    )
    name = engine.call("GET", "/containers/json").json[0]["Id"]
    engine.ok("exec", name, "sh", "-c", "until [ -s /v/f ]; do usleep 10000; done")
    found = engine.call("GET", "/v1.41/system/df").json
    assert [image["RepoTags"] for image in found["Images"]] == [["busybox:latest"]]
    assert found["LayersSize"] > 1_000_000
    assert [container["Id"] for container in found["Containers"]] == [name]
    assert 100_000 <= found["Containers"][0]["SizeRw"] < 120_000
    volume = found["Volumes"][0]
    assert (volume["Name"], volume["UsageData"]["RefCount"]) == ("vol", 1)
    assert 5000 <= volume["UsageData"]["Size"] < 10_000
    rows = [
        line.split("|")
        for line in engine.ok("system", "df", "--format", "{{.Type}}|{{.TotalCount}}|{{.Active}}").splitlines()
    ]
    assert rows == [
        ["Images", "1", "1"],
        ["Containers", "1", "1"],
        ["Local Volumes", "1", "1"],
        ["Build Cache", "0", "0"],
    ]
    assert engine.docker("system", "df", "-v").code == 0


@pytest.mark.parametrize("path", ["/swarm", "/nodes", "/services", "/tasks", "/secrets", "/configs"])
def test_swarm_when_there_is_none(engine: Engine, path: str) -> None:
    answer = engine.call("GET", path)
    assert answer.status == 503
    assert answer.message.startswith('This node is not a swarm manager. Use "docker swarm init" or "docker swarm join"')
