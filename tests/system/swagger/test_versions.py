"""What came and went with the versions of the API (Moby's api/docs/CHANGELOG.md), for each version that is served."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.engine import IMAGE, Answer, Engine, unique

OLDEST, NEWEST = 24, 55
VERSIONS = range(OLDEST, NEWEST + 1)

CONTAINER = "/containers/shown/json"
LIST = "/containers/json?all=1"
IMAGE_INSPECT = f"/images/{IMAGE}/json"
IMAGES = "/images/json"
BRIDGE = "/networks/bridge"
FIELDS: tuple[tuple[str, str, int, int], ...] = (
    # path, field, first version that has it, last version that has it
    (CONTAINER, "NetworkSettings.Networks.bridge.DNSNames", 44, NEWEST),
    (CONTAINER, "NetworkSettings.Networks.bridge.GwPriority", 48, NEWEST),
    (CONTAINER, "NetworkSettings.Networks.bridge.MacAddress", OLDEST, NEWEST),
    (CONTAINER, "NetworkSettings.Bridge", OLDEST, 51),
    (CONTAINER, "NetworkSettings.IPAddress", OLDEST, 51),
    (CONTAINER, "NetworkSettings.SecondaryIPAddresses", OLDEST, 51),
    (CONTAINER, "NetworkSettings.SandboxKey", OLDEST, NEWEST),
    (CONTAINER, "HostConfig.KernelMemory", OLDEST, 41),
    (CONTAINER, "HostConfig.KernelMemoryTCP", OLDEST, 41),
    (CONTAINER, "HostConfig.Annotations", 43, NEWEST),
    (CONTAINER, "Config.MacAddress", OLDEST, 51),
    (CONTAINER, "Config.OnBuild", OLDEST, 51),
    (LIST, "0.HostConfig.Annotations", 46, NEWEST),
    (LIST, "0.NetworkSettings.Networks.bridge.GwPriority", 48, NEWEST),
    (LIST, "0.Health", 52, NEWEST),
    (IMAGE_INSPECT, "VirtualSize", OLDEST, 43),
    (IMAGE_INSPECT, "Container", OLDEST, 44),
    (IMAGE_INSPECT, "ContainerConfig", OLDEST, 44),
    (IMAGE_INSPECT, "Config.Hostname", OLDEST, 49),
    (IMAGE_INSPECT, "Config.Tty", OLDEST, 49),
    (IMAGE_INSPECT, "Config.Entrypoint", OLDEST, 51),
    (IMAGE_INSPECT, "Parent", OLDEST, 51),
    (IMAGE_INSPECT, "Author", OLDEST, 51),
    (IMAGE_INSPECT, "DockerVersion", OLDEST, 51),
    (IMAGES, "0.VirtualSize", OLDEST, 43),
    (BRIDGE, "EnableIPv4", 48, NEWEST),
    (BRIDGE, "Created", OLDEST, NEWEST),
    (BRIDGE, "Status.IPAM.Subnets", 52, NEWEST),
    ("/info", "KernelMemory", OLDEST, 41),
    ("/info", "BridgeNfIptables", OLDEST, 49),
    ("/info", "RuncCommit.Expected", OLDEST, 48),
    ("/info", "RegistryConfig.AllowNondistributableArtifactsCIDRs", OLDEST, 46),
    ("/info", "FirewallBackend", 49, NEWEST),
    ("/info", "CgroupVersion", OLDEST, NEWEST),
    ("/system/df", "BuilderSize", OLDEST, 41),
    ("/system/df", "LayersSize", OLDEST, NEWEST),
    ("/system/df", "ImageUsage.TotalCount", 52, NEWEST),
    ("/system/df", "Images.0.VirtualSize", OLDEST, 43),
    ("/system/df?verbose=1", "LayersSize", OLDEST, 51),
)


def has(data: Any, field: str) -> bool:
    """Whether a field is there, whatever its value."""
    for name in field.split("."):
        if isinstance(data, list):
            data = data[int(name)]
        elif isinstance(data, dict) and name in data:
            data = data[name]
        else:
            return False
    return True


def test_fields(engine: Engine) -> None:
    body = {
        "Image": IMAGE,
        "Cmd": ["sleep", "1000"],
        "HostConfig": {"Annotations": {"a": "b"}},
        "NetworkingConfig": {"EndpointsConfig": {"bridge": {"MacAddress": "02:42:ac:11:00:99"}}},
    }
    made = engine.call("POST", f"/v1.{NEWEST}/containers/create?name=shown", body)
    assert made.status == 201, made.body
    engine.ok("start", "shown")
    wrong = []
    for version in VERSIONS:
        answers = {path: engine.call("GET", f"/v1.{version}{path}").json for path, *_ in dict.fromkeys(FIELDS)}
        for path, field, first, last in FIELDS:
            if has(answers[path], field) != (first <= version <= last):
                wrong.append(f"1.{version} {path} {field}")
    assert not wrong


def create(engine: Engine, version: int, **config: Any) -> Answer:
    return engine.call("POST", f"/v1.{version}/containers/create", {"Image": IMAGE, **config})


def created(engine: Engine, version: int, **config: Any) -> dict[str, Any]:
    """What inspect says, in the newest version, of a container created in another."""
    made = create(engine, version, **config)
    assert made.status == 201, made.body
    found: dict[str, Any] = engine.call("GET", f"/v1.{NEWEST}/containers/{made.json['Id']}/json").json
    engine.call("DELETE", f"/containers/{made.json['Id']}?v=1")
    return found


def bind(**options: Any) -> dict[str, Any]:
    return {"Type": "bind", "Source": "/tmp", "Target": "/t", "ReadOnly": True, "BindOptions": options}


MOUNT = "HostConfig.Mounts.0"
IGNORED: tuple[tuple[dict[str, Any], str, Any, int], ...] = (
    # what is sent, field of inspect, its value where it counts, first version in which it counts
    ({"HostConfig": {"AutoRemove": True}}, "HostConfig.AutoRemove", True, 25),
    ({"HostConfig": {"Mounts": [bind(NonRecursive=True)]}}, f"{MOUNT}.BindOptions.NonRecursive", True, 40),
    ({"HostConfig": {"Annotations": {"a": "b"}}}, "HostConfig.Annotations", {"a": "b"}, 43),
    ({"HostConfig": {"ConsoleSize": [5, 6]}}, "HostConfig.ConsoleSize", [5, 6], 42),
    (
        {"Healthcheck": {"Test": ["CMD", "x"], "StartInterval": 10**9}},
        "Config.Healthcheck.StartInterval",
        10**9,
        44,
    ),
    (
        {"NetworkingConfig": {"EndpointsConfig": {"bridge": {"GwPriority": 5}}}},
        "NetworkSettings.Networks.bridge.GwPriority",
        5,
        48,
    ),
    (
        {"NetworkingConfig": {"EndpointsConfig": {"bridge": {"MacAddress": "02:42:ac:11:00:99"}}}},
        "NetworkSettings.Networks.bridge.MacAddress",
        "02:42:ac:11:00:99",
        44,
    ),
)


@pytest.mark.parametrize(("sent", "field", "value", "since"), IGNORED)
def test_fields_a_version_does_not_know(
    engine: Engine, sent: dict[str, Any], field: str, value: Any, since: int
) -> None:
    for version, counts in ((since - 1, False), (since, True)):
        found: Any = created(engine, version, **sent)
        for name in field.split("."):
            found = found[int(name)] if isinstance(found, list) else (found or {}).get(name)
        assert (found == value) == counts, (version, found)


VOLUME: dict[str, Any] = {"Type": "volume", "Source": "vol", "Target": "/t"}
REFUSED: tuple[tuple[dict[str, Any], Callable[[int], bool], str], ...] = (
    # what is sent, versions that refuse it, what they say
    (
        {"HostConfig": {"Mounts": [{**VOLUME, "TmpfsOptions": {"SizeBytes": 1}}]}},
        lambda version: version >= 42,
        'TmpfsOptions must not be specified on mount type "volume"',
    ),
    (
        {"HostConfig": {"Mounts": [bind(ReadOnlyForceRecursive=True, Propagation="rprivate")]}},
        lambda version: version < 44,
        "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer",
    ),
    (
        {"NetworkingConfig": {"EndpointsConfig": {"bridge": {}, "other": {}}}},
        lambda version: version < 44,
        "Container cannot be created with multiple network endpoints: bridge, other",
    ),
    (
        {"HostConfig": {"Mounts": [{**VOLUME, "VolumeOptions": {"Subpath": "x"}}]}},
        lambda version: version < 45,
        "VolumeOptions.Subpath needs API v1.45 or newer",
    ),
    (
        {"MacAddress": "02:42:ac:11:00:99"},
        lambda version: version >= 52,
        "container-wide MAC address no longer supported; use endpoint-specific MAC address instead",
    ),
    (
        {"MacAddress": "02:42:ac:11:00:99", "HostConfig": {"NetworkMode": "host"}},
        lambda version: version < 44 or version >= 52,
        "",
    ),
    (
        {"HostConfig": {"Sysctls": {"net.ipv4.conf.eth0.log_martians": "1"}}},
        lambda version: version >= 48,
        'interface specific sysctl setting "net.ipv4.conf.eth0.log_martians" must be supplied using driver option ',
    ),
    ({"HostConfig": {"IOMaximumBandwidth": 5}}, lambda _: True, "invalid option: QoS maximum bandwidth configuration"),
    ({"HostConfig": {"IOMaximumIOps": 5}}, lambda _: True, "invalid option: QoS maximum IOPs configuration"),
)


@pytest.mark.parametrize(("sent", "refuses", "text"), REFUSED)
def test_requests_a_version_refuses(
    engine: Engine, sent: dict[str, Any], refuses: Callable[[int], bool], text: str
) -> None:
    engine.ok("network", "create", "other")
    for version in (OLDEST, 41, 43, 44, 47, 51, NEWEST):
        made = create(engine, version, **sent)
        assert made.status == (400 if refuses(version) else 201), (version, made.body)
        if refuses(version):
            assert made.message.startswith(text)


WARNED: tuple[tuple[dict[str, Any], int, int, str], ...] = (
    # what is sent, first and last version that warn, the warning
    (
        {"HostConfig": {"VolumeDriver": "local", "Mounts": [VOLUME]}},
        48,
        NEWEST,
        "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'",
    ),
    ({"MacAddress": "02:42:ac:11:00:99"}, 44, 51, "The container-wide MacAddress field is now deprecated."),
    (
        {"HostConfig": {"PortBindings": {"80/tcp": []}}},
        52,
        NEWEST,
        "Following container port(s) have an empty list of port-bindings: 80/tcp.",
    ),
    ({"HostConfig": {"KernelMemory": 1 << 30}}, OLDEST, 41, "Your kernel does not support kernel memory limit"),
    ({"HostConfig": {"CpuPercent": 5}}, OLDEST, NEWEST, "linux does not support CPU percent. Percent discarded."),
)


@pytest.mark.parametrize(("sent", "first", "last", "text"), WARNED)
def test_warnings(engine: Engine, sent: dict[str, Any], first: int, last: int, text: str) -> None:
    for version in {OLDEST, first - 1, first, last, last + 1} & set(VERSIONS):
        made = create(engine, version, **sent)
        if made.status == 201:
            told = any(warning.startswith(text) for warning in made.json["Warnings"])
            assert told == (first <= version <= last), (version, made.json)


def test_mounts_beneath_a_read_only_bind_are_read_only_since_1_44(engine: Engine) -> None:
    host = {"NetworkMode": "none", "Binds": ["/dev:/t:ro"], "Mounts": [{**bind(), "Source": "/dev", "Target": "/u"}]}
    for version, access in ((43, b"rw"), (44, b"ro")):
        made = create(engine, version, Cmd=["cat", "/proc/self/mountinfo"], HostConfig=host).json["Id"]
        lines = [line.split() for line in engine.docker_bytes("start", "-a", made).stdout.splitlines()]
        beneath = {(line[4], line[5][:2]) for line in lines if line[4] in (b"/t/pts", b"/u/pts")}
        assert beneath == {(b"/t/pts", access), (b"/u/pts", access)}


def test_a_port_with_an_empty_list_is_published(engine: Engine) -> None:
    for version in (41, NEWEST):
        made = create(engine, version, Cmd=["sleep", "1000"], HostConfig={"PortBindings": {"80/tcp": []}}).json["Id"]
        engine.call("POST", f"/containers/{made}/start")
        assert engine.inspect(made)["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"].isdigit()


def test_images(engine: Engine) -> None:
    engine.ok("create", IMAGE)

    def status(version: int, path: str) -> int:
        return engine.call("GET", f"/v1.{version}{path}").status

    assert engine.call("GET", "/v1.50/images/json").json[0]["Containers"] == -1
    assert engine.call("GET", "/v1.51/images/json").json[0]["Containers"] == 1
    assert engine.call("GET", "/v1.40/images/json?filter=other").json == []
    assert len(engine.call("GET", "/v1.41/images/json?filter=other").json) == 1
    assert (status(53, "/images/json?identity=1"), status(54, "/images/json?identity=1")) == (200, 400)
    both = f"/images/{IMAGE}/json?manifests=1&platform=" + '{"os":"linux","architecture":"amd64"}'
    assert (status(48, both), status(49, both)) == (200, 400)
    other = f"/images/{IMAGE}/history?platform=" + '{"os":"linux","architecture":"s390x"}'
    assert (status(47, other), status(48, other)) == (200, 404)
    two = "platforms={}&platforms={}"
    assert engine.call("DELETE", f"/v1.50/images/{IMAGE}?{two}").message == "both OS and Architecture must be provided"
    several = engine.call("GET", f"/v1.51/images/{IMAGE}/get?platform=a&platform=b")
    assert several.message.endswith("use API version 1.52 or later")


def test_networks_list_their_containers_until_1_27(engine: Engine) -> None:
    engine.start("--name", "shown", IMAGE, "sleep", "1000")
    for version, expected in ((27, 1), (28, 0)):
        found = {each["Name"]: each for each in engine.call("GET", f"/v1.{version}/networks").json}
        assert len(found["bridge"]["Containers"]) == expected


def test_volume_prune_takes_named_volumes_until_1_41(engine: Engine) -> None:
    for version, expected in ((42, []), (41, ["named"])):
        engine.ok("volume", "create", "named")
        assert engine.call("POST", f"/v1.{version}/volumes/prune").json["VolumesDeleted"] == expected


def test_cluster_volumes_need_a_swarm(engine: Engine) -> None:
    body = {"Name": unique("vol"), "ClusterVolumeSpec": {}}
    assert engine.call("POST", "/v1.42/volumes/create", body).status == 503
    assert engine.call("POST", "/v1.41/volumes/create", body).status == 201


def test_wait_takes_no_condition_until_1_29(engine: Engine) -> None:
    id = engine.ok("create", IMAGE, "true")
    assert engine.call("POST", f"/v1.29/containers/{id}/wait?condition=bored").json == {"StatusCode": 0}
    assert engine.call("POST", f"/v1.30/containers/{id}/wait?condition=bored").status == 400


def test_events_have_the_fields_of_old_until_1_51(engine: Engine) -> None:
    id = engine.ok("create", IMAGE)
    query = f'since=1&until={time.time():.6f}&filters={{"container":["{id}"]}}'
    for version, expected in ((51, True), (52, False)):
        first = json.loads(engine.call("GET", f"/v1.{version}/events?{query}").body.splitlines()[0])
        assert ({"status", "id", "from"} <= set(first)) == expected
