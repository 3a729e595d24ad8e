"""Tag Container."""

import base64
import os

import pytest

from tests.support.engine import IMAGE, Engine, unique
from tests.support.swagger_walk import Caller

ABSENT = "no-such-container"


@pytest.mark.provokes("ContainerList", 200, 400)
def test_list(caller: Caller, running: str) -> None:
    shown = caller.expect(200, "ContainerList", query={"all": True, "size": True, "limit": 5}).json
    assert [each["Id"] for each in shown] == [running]
    caller.expect(400, "ContainerList", query={"filters": '{"nonsense":["x"]}'})
    caller.expect(400, "ContainerList", query={"filters": "{"})
    caller.expect(400, "ContainerList", query={"limit": "many"})


@pytest.mark.provokes("ContainerCreate", 201, 400, 404, 409)
def test_create(caller: Caller) -> None:
    name = unique("made")
    made = caller.expect(201, "ContainerCreate", query={"name": name}, body=everything())
    caller.expect(200, "ContainerInspect", id=made.json["Id"])
    caller.expect(409, "ContainerCreate", query={"name": name}, body={"Image": IMAGE})
    caller.expect(404, "ContainerCreate", body={"Image": "no-such-image"})
    caller.expect(400, "ContainerCreate", body={})
    caller.expect(400, "ContainerCreate", query={"name": "%"}, body={"Image": IMAGE})
    caller.expect(400, "ContainerCreate", body={"Image": IMAGE, "HostConfig": {"Memory": "much"}})


def everything() -> dict[str, object]:
    """A configuration with most of what the schemas have."""
    return {
        "Image": IMAGE,
        "Cmd": ["sleep", "1000"],
        "Env": ["A=1"],
        "Labels": {"a": "b"},
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 10**9, "Timeout": 10**9, "Retries": 2},
        "Volumes": {"/anonymous": {}},
        "StopSignal": "SIGUSR1",
        "StopTimeout": 1,
        "Shell": ["/bin/sh", "-c"],
        "HostConfig": {
            "Binds": ["/tmp:/bound:ro"],
            "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]},
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
            "Mounts": [
                {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o700}},
                {"Type": "volume", "Target": "/v", "VolumeOptions": {"NoCopy": True, "Labels": {"x": "y"}}},
                {"Type": "bind", "Source": "/tmp", "Target": "/b", "BindOptions": {"Propagation": "rprivate"}},
            ],
            "Tmpfs": {"/scratch": "size=1m"},
            "CapAdd": ["NET_ADMIN"],
            "CapDrop": ["MKNOD"],
            "Dns": ["127.0.0.1"],
            "DnsOptions": ["ndots:1"],
            "DnsSearch": ["example.org"],
            "ExtraHosts": ["other:127.0.0.2"],
            "GroupAdd": ["daemon"],
            "SecurityOpt": ["no-new-privileges"],
            "Sysctls": {"net.ipv4.ip_unprivileged_port_start": "0"},
            "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}],
            "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nix", "CgroupPermissions": "rw"}],
            "DeviceCgroupRules": ["c 1:3 rwm"],
            "Memory": 64 << 20,
            "MemoryReservation": 32 << 20,
            "NanoCpus": 10**8,
            "PidsLimit": 20,
            "ShmSize": 1 << 20,
            "Init": True,
            "OomScoreAdj": 100,
            "Annotations": {"note": "x"},
        },
    }


@pytest.mark.provokes("ContainerInspect", 200, 404)
def test_inspect(caller: Caller, running: str) -> None:
    caller.expect(200, "ContainerInspect", id=running, query={"size": True})
    caller.expect(404, "ContainerInspect", id=ABSENT)


def test_inspect_of_all_kinds(caller: Caller, engine: Engine) -> None:
    engine.ok("network", "create", "own")
    kinds = (
        ("-p", "127.0.0.1:0:80", "--network", "own", "--network-alias", "other", "--health-cmd", "true"),
        ("--network", "none", "-v", "named:/v", "--read-only", "--user", "daemon", "-t", "-i"),
        ("--network", "host", "--pid", "host", "--privileged", "--restart", "always", "--entrypoint", "sleep"),
    )
    for kind in kinds:
        command = ("1000",) if "--entrypoint" in kind else ("sleep", "1000")
        caller.expect(200, "ContainerInspect", id=engine.start(*kind, IMAGE, *command))
    caller.expect(200, "ContainerList", query={"all": True, "size": True})


@pytest.mark.provokes("ContainerTop", 200, 404)
def test_top(caller: Caller, running: str) -> None:
    assert caller.expect(200, "ContainerTop", id=running, query={"ps_args": "-o pid,args"}).json["Processes"]
    caller.expect(404, "ContainerTop", id=ABSENT)


@pytest.mark.provokes("ContainerLogs", 200, 404)
def test_logs(caller: Caller, engine: Engine) -> None:
    said = engine.ok("create", "--network", "none", IMAGE, "echo", "hello")
    engine.ok("start", "-a", said)
    query = {"stdout": True, "timestamps": True, "since": 1, "until": 1 << 33, "tail": "all"}
    assert b"hello" in caller.expect(200, "ContainerLogs", id=said, query=query).body
    caller.expect(404, "ContainerLogs", id=ABSENT, query={"stdout": True})


@pytest.mark.provokes("ContainerResize", 200, 404)
def test_resize(caller: Caller, engine: Engine) -> None:
    terminal = engine.start("--network", "none", "-t", IMAGE, "sleep", "1000")
    caller.expect(200, "ContainerResize", id=terminal, query={"h": 10, "w": 20})
    caller.expect(404, "ContainerResize", id=ABSENT, query={"h": 10, "w": 20})


@pytest.mark.provokes("ContainerStart", 204, 304, 404)
@pytest.mark.provokes("ContainerStop", 204, 304, 404)
@pytest.mark.provokes("ContainerRestart", 204, 404)
@pytest.mark.provokes("ContainerKill", 204, 404, 409)
def test_start_and_stop(caller: Caller, engine: Engine) -> None:
    id = engine.ok("create", "--network", "none", IMAGE, "sleep", "1000")
    caller.expect(204, "ContainerStart", id=id, query={"detachKeys": "ctrl-a"})
    caller.expect(304, "ContainerStart", id=id)
    caller.expect(204, "ContainerRestart", id=id, query={"t": 0, "signal": "SIGKILL"})
    caller.expect(204, "ContainerKill", id=id, query={"signal": "SIGCONT"})
    caller.expect(204, "ContainerStop", id=id, query={"t": 5, "signal": "SIGKILL"})
    caller.expect(304, "ContainerStop", id=id)
    caller.expect(409, "ContainerKill", id=id)
    for operation in ("ContainerStart", "ContainerStop", "ContainerRestart", "ContainerKill"):
        caller.expect(404, operation, id=ABSENT)


@pytest.mark.provokes("ContainerRename", 204, 404, 409)
def test_rename(caller: Caller, engine: Engine, created: str) -> None:
    caller.expect(204, "ContainerRename", id=created, query={"name": "first"})
    engine.ok("create", "--name", "second", IMAGE, "true")
    caller.expect(409, "ContainerRename", id=created, query={"name": "second"})
    caller.expect(404, "ContainerRename", id=ABSENT, query={"name": "third"})


@pytest.mark.provokes("ContainerPause", 204, 404)
@pytest.mark.provokes("ContainerUnpause", 204, 404)
def test_pause(caller: Caller, running: str) -> None:
    caller.expect(204, "ContainerPause", id=running)
    assert caller.expect(200, "ContainerInspect", id=running).json["State"]["Paused"]
    caller.expect(204, "ContainerUnpause", id=running)
    caller.expect(404, "ContainerPause", id=ABSENT)
    caller.expect(404, "ContainerUnpause", id=ABSENT)


UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}


@pytest.mark.provokes("ContainerAttach", 101, 200, 400, 404)
def test_attach(caller: Caller, engine: Engine, running: str) -> None:
    said = engine.ok("create", "--network", "none", IMAGE, "echo", "hello")
    engine.ok("start", "-a", said)
    attached = caller.expect(200, "ContainerAttach", id=said, query={"logs": True, "stdout": True})
    assert attached.body[8:] == b"hello\n"
    query = {"stream": True, "stdout": True, "stdin": True, "stderr": True}
    caller.expect(101, "ContainerAttach", id=running, query=query, headers=UPGRADE)
    caller.expect(400, "ContainerAttach", id=running, query={"detachKeys": "nonsense"})
    caller.expect(404, "ContainerAttach", id=ABSENT, query=query)


@pytest.mark.provokes("ContainerAttachWebsocket", 101, 400, 404)
def test_attach_by_websocket(caller: Caller, running: str) -> None:
    key = base64.b64encode(os.urandom(16)).decode()
    handshake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
    }
    query = {"stream": True, "stdout": True}
    caller.expect(101, "ContainerAttachWebsocket", id=running, query=query, headers=handshake)
    bad = {**query, "detachKeys": "nonsense"}
    caller.expect(400, "ContainerAttachWebsocket", id=running, query=bad, headers=handshake)
    caller.expect(404, "ContainerAttachWebsocket", id=ABSENT, query=query, headers=handshake)


@pytest.mark.provokes("ContainerWait", 200, 400, 404)
def test_wait(caller: Caller, created: str) -> None:
    assert caller.expect(200, "ContainerWait", id=created, query={"condition": "not-running"}).json["StatusCode"] == 0
    caller.expect(400, "ContainerWait", id=created, query={"condition": "bored"})
    caller.expect(404, "ContainerWait", id=ABSENT)


@pytest.mark.provokes("ContainerDelete", 204, 400, 404, 409)
def test_remove(caller: Caller, engine: Engine, running: str, created: str) -> None:
    caller.expect(409, "ContainerDelete", id=running)
    caller.expect(204, "ContainerDelete", id=running, query={"force": True, "v": True})
    caller.expect(400, "ContainerDelete", id=ambiguous(engine))
    caller.expect(204, "ContainerDelete", id=created)
    caller.expect(404, "ContainerDelete", id=created)


def ambiguous(engine: Engine) -> str:
    """Makes containers until the ids of two begin alike; that begin."""
    seen: set[str] = set()
    while (begin := engine.ok("create", IMAGE, "true")[:1]) not in seen:
        seen.add(begin)
    return begin


@pytest.mark.provokes("ContainerPrune", 200)
def test_prune(caller: Caller, created: str) -> None:
    query = {"filters": {"until": ["1h"]}}
    assert caller.expect(200, "ContainerPrune", query=query).json["ContainersDeleted"] is None
    assert caller.expect(200, "ContainerPrune").json["ContainersDeleted"] == [created]


@pytest.mark.provokes("ContainerStats", 200, 404)
def test_stats(caller: Caller, created: str, running: str) -> None:
    caller.expect(200, "ContainerStats", id=created, query={"stream": False})
    caller.expect(200, "ContainerStats", id=running, query={"stream": False, "one-shot": True})
    caller.expect(404, "ContainerStats", id=ABSENT, query={"stream": False})


@pytest.mark.provokes("ContainerUpdate", 200, 404)
def test_update(caller: Caller, created: str, running: str) -> None:
    limits = {"Memory": 64 << 20, "MemorySwap": 128 << 20, "CpuShares": 512, "PidsLimit": 50}
    for container in (created, running):
        caller.expect(200, "ContainerUpdate", id=container, body=limits | {"RestartPolicy": {"Name": "always"}})
    caller.expect(404, "ContainerUpdate", id=ABSENT, body={})
