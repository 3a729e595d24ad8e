"""Malformed requests get a 4xx with {"message"}, and the engine still answers. dockerd answers many with 5xx."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.engine import IMAGE, Engine

pytestmark = pytest.mark.beyond_reference("dockerd answers about half of these with 5xx")
CREATE = "/v1.41/containers/create"
JSON = {"Content-Type": "application/json"}


def refused(engine: Engine, method: str, path: str, **how: Any) -> str:
    """The message of an answer that has to be 4xx."""
    answer = engine.call(method, path, **how)
    assert 400 <= answer.status < 500, answer
    message = answer.message
    assert message
    assert "Traceback" not in message
    assert engine.call("GET", "/_ping").status == 200
    return message


BODIES: Mapping[str, bytes] = {
    "empty": b"",
    "cut": b'{"Image":',
    "no json": b"Image=busybox",
    "array": b"[]",
    "null": b"null",
    "string": b'"busybox"',
    "two documents": b'{"Image":"busybox"}{"Image":"busybox"}',
    "number for a string": b'{"Image":5}',
    "string for a list": b'{"Image":"busybox","Env":"A=b"}',
    "object for a list": b'{"Image":"busybox","Cmd":{"a":"b"}}',
    "list for an object": b'{"Image":"busybox","Labels":["a"]}',
    "string for a number": b'{"Image":"busybox","HostConfig":{"Memory":"much"}}',
    "fraction for an integer": b'{"Image":"busybox","HostConfig":{"Memory":1.5}}',
    "string for a boolean": b'{"Image":"busybox","Tty":"yes"}',
    "number beyond 64 bits": b'{"Image":"busybox","HostConfig":{"Memory":99999999999999999999999}}',
    "no utf-8": b'{"Image":"\xff\xfe"}',
    "deep": b'{"Image":"busybox","Labels":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "NaN": b'{"Image":"busybox","HostConfig":{"Memory":NaN}}',
    "NUL in a name": b'{"Image":"busybox\\u0000"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_body(engine: Engine, body: bytes) -> None:
    assert refused(engine, "POST", CREATE, data=body, headers=JSON)
    assert engine.ok("ps", "-aq") == ""


def test_content_type(engine: Engine) -> None:
    body = b'{"Image":"busybox"}'
    assert "text/plain" in refused(engine, "POST", CREATE, data=body, headers={"Content-Type": "text/plain"})


HOST_CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "negative memory": {"Memory": -1},
    "small memory": {"Memory": 1000},
    "negative swap": {"Memory": 64 << 20, "MemorySwap": -5},
    "negative cpus": {"NanoCpus": -1},
    "negative shm": {"ShmSize": -1},
    "cpuset": {"CpusetCpus": "abc"},
    "cpuset beyond": {"CpusetCpus": "0-9999"},
    "mems": {"CpusetMems": "99"},
    "restart": {"RestartPolicy": {"Name": "sometimes"}},
    "restart negative": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": -3}},
    "restart with rm": {"AutoRemove": True, "RestartPolicy": {"Name": "always"}},
    "network mode": {"NetworkMode": "container:"},
    "ipc mode": {"IpcMode": "foo"},
    "pid mode": {"PidMode": "foo"},
    "uts mode": {"UTSMode": "foo"},
    "userns mode": {"UsernsMode": "foo"},
    "cgroupns mode": {"CgroupnsMode": "foo"},
    "isolation": {"Isolation": "foo"},
    "capability": {"CapAdd": ["FOO"]},
    "security option": {"SecurityOpt": ["foo"]},
    "seccomp": {"SecurityOpt": ["seccomp=notjson"]},
    "seccomp action": {"SecurityOpt": ['seccomp={"defaultAction":"SCMP_ACT_MAYBE"}']},
    "bind": {"Binds": ["/tmp:relative"]},
    "bind to the root": {"Binds": ["/tmp:/"]},
    "bind with NUL": {"Binds": ["/tmp\0x:/x"]},
    "bind mode": {"Binds": ["/tmp:/x:foo"]},
    "bind twice": {"Binds": ["/tmp:/x", "/etc:/x"]},
    "volume name": {"Binds": ["../etc:/x"]},
    "volume name dots": {"Binds": ["..:/x"]},
    "mount type": {"Mounts": [{"Type": "foo", "Source": "/tmp", "Target": "/x"}]},
    "mount target": {"Mounts": [{"Type": "bind", "Source": "/tmp"}]},
    "mount source": {"Mounts": [{"Type": "bind", "Source": "/nope/nope", "Target": "/x"}]},
    "tmpfs source": {"Mounts": [{"Type": "tmpfs", "Source": "/tmp", "Target": "/x"}]},
    "port": {"PortBindings": {"99999/tcp": [{}]}},
    "port protocol": {"PortBindings": {"80/foo": [{}]}},
    "host port": {"PortBindings": {"80/tcp": [{"HostPort": "99999"}]}},
    "host port text": {"PortBindings": {"80/tcp": [{"HostPort": "abc"}]}},
    "host port negative": {"PortBindings": {"80/tcp": [{"HostPort": "-1"}]}},
    "host address": {"PortBindings": {"80/tcp": [{"HostIp": "not-an-address", "HostPort": "80"}]}},
    "ulimit": {"Ulimits": [{"Name": "foo", "Soft": 1, "Hard": 1}]},
    "ulimit order": {"Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 1}]},
    "runtime": {"Runtime": "nort"},
    "runtime path": {"Runtime": "../../bin/sh"},
    "log driver": {"LogConfig": {"Type": "nolog"}},
    "log option": {"LogConfig": {"Type": "json-file", "Config": {"foo": "x"}}},
    "log size": {"LogConfig": {"Type": "json-file", "Config": {"max-size": "-1"}}},
    "extra host": {"ExtraHosts": ["foo"]},
    "extra host address": {"ExtraHosts": ["foo:bar"]},
    "dns": {"Dns": ["foo"]},
    "sysctl": {"Sysctls": {"kernel.foo": "1"}},
    "oom score": {"OomScoreAdj": 5000},
    "swappiness": {"MemorySwappiness": 200},
    "device permissions": {
        "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "xyz"}]
    },
    "volumes from": {"VolumesFrom": ["nope"]},
}


@pytest.mark.parametrize("host_config", HOST_CONFIGS.values(), ids=HOST_CONFIGS.keys())
def test_host_config(engine: Engine, host_config: Mapping[str, Any]) -> None:
    """Refused at creation, or by a 4xx at the start; nothing is left behind.

    What this host has no means for is discarded with a warning, as dockerd does, and not looked at.
    """
    answer = engine.call("POST", CREATE, {"Image": IMAGE, "Cmd": ["true"], "HostConfig": host_config})
    if answer.status == 201:
        created = answer.json
        answer = engine.call("POST", f"/containers/{created['Id']}/start")
        if answer.status == 204 and any(word in str(created["Warnings"]) for word in ("discarded", "without swap")):
            return
    assert 400 <= answer.status < 500, answer
    assert answer.message
    assert engine.call("GET", "/containers/json").json == []


CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "environment": {"Env": ["=x"]},
    "environment empty": {"Env": [""]},
    "environment NUL": {"Env": ["A=\0"]},
    "workdir": {"WorkingDir": "a/b"},
    "hostname": {"Hostname": "a" * 70},
    "hostname characters": {"Hostname": "a b\n"},
    "stop signal": {"StopSignal": "FOO"},
    "exposed port": {"ExposedPorts": {"foo": {}}},
    "volume": {"Volumes": {"relative": {}}},
    "volume root": {"Volumes": {"/": {}}},
    "health check": {"Healthcheck": {"Test": ["CMD", "x"], "Interval": 5}},
    "mac": {"MacAddress": "zz"},
    "command NUL": {"Cmd": ["a\0b"]},
    "user NUL": {"User": "a\0b"},
    "no image": {"Image": ""},
    "image name": {"Image": "UPPER"},
    "image path": {"Image": "../../etc"},
    "endpoint address": {
        "NetworkingConfig": {"EndpointsConfig": {"bridge": {"IPAMConfig": {"IPv4Address": "nonsense"}}}}
    },
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_config(engine: Engine, config: Mapping[str, Any]) -> None:
    answer = engine.call("POST", CREATE, {"Image": IMAGE, "Cmd": ["true"], **config})
    if answer.status == 201:
        answer = engine.call("POST", f"/containers/{answer.json['Id']}/start")
    assert 400 <= answer.status < 500, answer
    assert answer.message
    assert engine.call("GET", "/containers/json").json == []


@pytest.mark.parametrize("name", ["-x", "a b", "a", "../x", "a/b", "ä", "a\0b", "%00", ".", "\n"])
def test_container_name(engine: Engine, name: str) -> None:
    assert refused(engine, "POST", f"{CREATE}?name={quote(name, safe='')}", body={"Image": IMAGE})


QUERIES = [
    ("GET", "/containers/json?limit=x"),
    ("GET", "/containers/json?filters=x"),
    ("GET", "/containers/json?filters=%5B%5D"),
    ("GET", "/containers/json?filters=%7B%22status%22%3A5%7D"),
    ("GET", "/containers/json?filters=" + quote('{"status":["foo"]}')),
    ("GET", "/containers/json?filters=" + quote('{"exited":["foo"]}')),
    ("GET", "/containers/json?filters=" + quote('{"before":["nope"]}')),
    ("GET", "/containers/json?filters=" + quote('{"nonsense":["x"]}')),
    ("GET", "/images/json?filters=" + quote('{"nonsense":["x"]}')),
    ("GET", "/volumes?filters=" + quote('{"nonsense":["x"]}')),
    ("GET", "/networks?filters=" + quote('{"nonsense":["x"]}')),
    ("GET", "/events?filters=foo"),
    ("GET", "/events?since=abc&until=1"),
    ("GET", "/events?since=99999999999999999999999&until=1"),
    ("GET", "/containers/box/logs?stdout=1&since=abc"),
    ("GET", "/containers/box/logs"),
    ("POST", "/containers/box/stop?t=abc"),
    ("POST", "/containers/box/restart?t=abc"),
    ("POST", "/containers/box/kill?signal=FOO"),
    ("POST", "/containers/box/kill?signal=-1"),
    ("POST", "/containers/box/kill?signal=999"),
    ("POST", "/containers/box/resize?h=a&w=1"),
    ("POST", "/containers/box/resize?h=-1&w=99999999999"),
    ("POST", "/containers/box/wait?condition=foo"),
    ("POST", "/containers/box/exec"),
    ("POST", f"{CREATE}?platform=a/b/c/d"),
    ("POST", "/containers//start"),
    ("GET", "/containers/..%2f..%2fetc/json"),
    ("GET", "/containers/%00/json"),
    ("GET", "/containers/%ff%fe/json"),
    ("GET", f"/containers/{'a' * 5000}/json"),
    ("GET", "/images/UPPER/json"),
    ("GET", "/images/%00/json"),
    ("DELETE", "/volumes/..%2f..%2fetc"),
    ("GET", "/volumes/..%2f..%2fetc"),
    ("POST", "/images/create?fromSrc=-&repo=UPPER"),
    ("POST", f"/images/{IMAGE}/tag?repo=UPPER"),
    ("POST", "/volumes/create"),
    ("POST", "/networks/create"),
    ("GET", "/v1.41x/info"),
    ("GET", "/v1.9999999999999999999/info"),
    ("GET", "/nope"),
]


@pytest.mark.parametrize(("method", "path"), QUERIES, ids=[f"{method} {path[:60]}" for method, path in QUERIES])
def test_query(engine: Engine, method: str, path: str) -> None:
    engine.start("--name", "box", IMAGE, "sleep", "100")
    how: dict[str, Any] = {"body": {"Image": IMAGE}} if path.startswith(CREATE) else {}
    assert refused(engine, method, path, **how)
    assert engine.inspect("box")["State"]["Running"] is True


VOLUMES: Mapping[str, Mapping[str, Any]] = {
    "name": {"Name": "a b"},
    "dots": {"Name": ".."},
    "path": {"Name": "../../etc"},
    "driver": {"Name": "vol", "Driver": "nodriver"},
    "option": {"Name": "vol", "DriverOpts": {"nonsense": "x"}},
    "types": {"Name": 5},
    "labels": {"Name": "vol", "Labels": []},
}


@pytest.mark.parametrize("body", VOLUMES.values(), ids=VOLUMES.keys())
def test_volume(engine: Engine, body: Mapping[str, Any]) -> None:
    assert refused(engine, "POST", "/volumes/create", body=body)


NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "no name": {"Driver": "bridge"},
    "predefined": {"Name": "bridge"},
    "driver": {"Name": "net", "Driver": "nodriver"},
    "subnet": {"Name": "net", "IPAM": {"Config": [{"Subnet": "nonsense"}]}},
    "subnet bits": {"Name": "net", "IPAM": {"Config": [{"Subnet": "10.0.0.0/99"}]}},
    "gateway outside": {"Name": "net", "IPAM": {"Config": [{"Subnet": "10.9.0.0/24", "Gateway": "10.8.0.1"}]}},
    "option": {"Name": "net", "Options": {"com.docker.network.driver.mtu": "big"}},
}


@pytest.mark.parametrize("body", NETWORKS.values(), ids=NETWORKS.keys())
def test_network(engine: Engine, body: Mapping[str, Any]) -> None:
    assert refused(engine, "POST", "/networks/create", body=body)
