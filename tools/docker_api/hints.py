"""Values that make generated requests go further than the first check, and those that must not be made up.

A name here is that of a parameter or field, in lower case. Requests are for an engine that is there for nothing else,
but on a host that is not: `GUARDED` fields never get free text, because they name things of the host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

Pick = Callable[[Random, "World"], Any]


@dataclass
class World:
    """What requests may name: objects of the engine by kind, the image, a folder of the host that may be mounted."""

    scratch: str
    image: str = "busybox"
    names: dict[str, list[str]] = field(
        default_factory=lambda: {kind: [] for kind in ("containers", "images", "networks", "volumes", "exec")}
    )

    def name(self, random: Random, kind: str) -> str:
        """One that exists, or in one of eight cases one that does not."""
        known = self.names.get(kind, [])
        return random.choice(known) if known and random.random() < 0.88 else random.choice(ABSENT)


ABSENT = ("absent", "f" * 64, "0", "a/b", "UPPER", "sha256:" + "0" * 64, "..", "%2e%2e", "ä", "x" * 300)


def one(*values: Any) -> Pick:
    """One of these, the first ones (which are right) more often."""
    weights = _falling(len(values))
    return lambda random, _: random.choices(values, weights)[0]


def some(*values: Any) -> Pick:
    """A list of up to two of these, the first ones more often."""
    weights = _falling(len(values))
    return lambda random, _: random.choices(values, weights, k=random.randrange(3))


def _falling(count: int) -> list[float]:
    return [max(8.0 / 2**place, 0.6) for place in range(count)]


def named(kind: str) -> Pick:
    """The name of something that may exist."""
    return lambda random, world: world.name(random, kind)


def listed(kind: str) -> Pick:
    """A list with such a name."""
    return lambda random, world: [world.name(random, kind)]


def mapped(*pairs: tuple[str, Any]) -> Pick:
    """An object of up to two of these members, the first ones more often."""
    weights = _falling(len(pairs))
    return lambda random, _: dict(random.choices(pairs, weights, k=random.randrange(3)))


def _binds(random: Random, world: World) -> list[str]:
    sources = (world.scratch, f"{world.scratch}/made", "named", world.name(random, "volumes"), "relative/path", "")
    modes = ("", "", ":ro", ":rw,rprivate", ":nocopy", ":z", ":nonsense")
    source = random.choices(sources, _falling(len(sources)))[0]
    return [f"{source}:/mnt/{random.randrange(3)}{random.choice(modes)}"]


def _source(random: Random, world: World) -> str:
    return random.choice((world.scratch, f"{world.scratch}/absent", "named", world.name(random, "volumes"), ""))


def _network_mode(random: Random, world: World) -> str:
    joined = f"container:{world.name(random, 'containers')}"
    modes = ("none", "bridge", world.name(random, "networks"), "default", joined, "host")
    return random.choices(modes, _falling(len(modes)))[0]


def _links(random: Random, world: World) -> list[str]:
    return [f"{world.name(random, 'containers')}:{random.choice(('db', 'web', ''))}"]


def _new_name(random: Random, _world: World) -> str:
    return f"made-{random.randrange(60)}" if random.random() < 0.85 else random.choice(("", *ABSENT))


HINTS: Mapping[str, Pick] = {
    "name": _new_name,
    "image": lambda random, world: world.image if random.random() < 0.9 else world.name(random, "images"),
    "cmd": one(["sleep", "30"], ["true"], ["echo", "hello"], ["cat"], "true", [], ["no-such-program"]),
    "shell": one(["/bin/sh", "-c"]),
    "env": some("A=1", "B", "=x", "PATH=/bin", "A=\u00e4"),
    "user": one("", "root", "alice", "1000:1000", "nobody:staff", "no-such-user", "-1"),
    "workingdir": one("", "/", "/tmp", "/made/anew", "relative"),
    "hostname": one("", "host", "a.b", "-", "x" * 70),
    "stopsignal": one("SIGTERM", "KILL", "9", "SIGNONSENSE"),
    "signal": one("", "SIGKILL", "9", "TERM", "SIGNONSENSE", "0", "-1", "65"),
    "stoptimeout": one(0, 1),
    "t": one("0", "1", "x", "1.5", "9" * 30),
    "exposedports": mapped(("80/tcp", {}), ("53/udp", {}), ("0", {}), ("70000/tcp", {}), ("a", {})),
    "portbindings": mapped(
        ("80/tcp", [{"HostPort": "0"}]), ("81", [{"HostIp": "127.0.0.1"}]), ("x/y", None), ("82/tcp", []),
        ("83/tcp", [{"HostPort": "70000"}]), ("84/udp", [{"HostIp": "nowhere"}]),
    ),
    "volumes": mapped(("/data", {}), ("/tmp", {}), ("relative", {}), ("/", {})),
    "binds": _binds,
    "source": _source,
    "target": one("/mnt/t", "/mnt/u", "/", "relative", ""),
    "type": one("volume", "tmpfs", "bind", "image", "npipe", ""),
    "tmpfs": mapped(("/mnt/tmp", ""), ("/mnt/x", "size=1m,mode=700"), ("relative", ""), ("/mnt/y", "nonsense")),
    "volumesfrom": listed("containers"),
    "links": _links,
    "networkmode": _network_mode,
    "pidmode": one("", "host", "container:absent", "nonsense"),
    "ipcmode": one("", "host", "private", "shareable", "none", "container:absent", "nonsense"),
    "cgroup": one("", "container:absent"),
    "cgroupparent": one(""),
    "usernsmode": one("", "host", "nonsense"),
    "utsmode": one("", "host", "nonsense"),
    "runtime": one("", "crun", "no-such-runtime"),
    "capadd": some("NET_ADMIN", "ALL", "CAP_CHOWN", "NO_SUCH"),
    "capdrop": some("NET_ADMIN", "ALL", "MKNOD", "NO_SUCH"),
    "securityopt": some("no-new-privileges", "seccomp=unconfined", "label=disable", "nonsense=1", "seccomp={"),
    "sysctls": mapped(("net.ipv4.ip_unprivileged_port_start", "0"), ("net.nonsense", "1"), ("kernel.nonsense", "1")),
    "devices": some(
        {"PathOnHost": "/dev/null", "PathInContainer": "/dev/n", "CgroupPermissions": "rwm"},
        {"PathOnHost": "/dev/no-such-device", "PathInContainer": "/dev/n", "CgroupPermissions": "x"},
    ),
    "pathonhost": one("/dev/null", "/dev/no-such-device"),
    "path": one("/dev/null", "/dev/no-such-device", "/", "/etc", "/etc/passwd", "../../etc", "/proc/1/root", ""),
    "logconfig": one(
        {"Type": "json-file", "Config": {"max-size": "1m"}}, {"Type": "local"}, {"Type": "none"}, {"Type": "nonsense"},
        {"Type": "json-file", "Config": {"max-size": "x"}}, {"Type": "json-file", "Config": {"nonsense": "1"}},
    ),
    "restartpolicy": one({"Name": "no"}, {"Name": "on-failure", "MaximumRetryCount": 1}, {"Name": "x"}),
    "dns": some("127.0.0.1", "nowhere"),
    "extrahosts": some("other:127.0.0.2", "x", ":"),
    "groupadd": some("daemon", "1", "no-such-group"),
    "memory": one(64 << 20, 0, 1, -1, 1 << 62),
    "memoryswap": one(0, -1, 128 << 20, 1),
    "nanocpus": one(0, 10**8, 10**15, -1),
    "cpusetcpus": one("", "0", "0-1", "99", "x"),
    "shmsize": one(0, 1 << 20, -1),
    "healthcheck": one({"Test": ["CMD", "true"]}, {"Test": ["NONE"]}, {"Test": ["X"]}, {"Interval": 1}),
    "container": named("containers"),
    "containers": named("containers"),
    "driver": one("", "", "bridge", "local", "host", "null", "no-such-driver"),
    "subnet": one("10.66.1.0/24", "10.66.2.0/30", "10.66.1.1/24", "fd00:66::/64", "300.0.0.0/8", "x", ""),
    "iprange": one("10.66.1.128/25", "10.0.0.0/8", "x", ""),
    "gateway": one("10.66.1.1", "10.66.9.9", "x", ""),
    "ipv4address": one("10.66.1.77", "10.66.1.1", "1.2.3.4", "x", ""),
    "ipv6address": one("", "fd00:66::77", "x"),
    "macaddress": one("", "02:42:0a:42:01:02", "ff:ff:ff:ff:ff:ff", "x"),
    "driveropts": mapped(("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m"), ("nonsense", "x")),
    "options": mapped(
        ("com.docker.network.bridge.enable_icc", "false"), ("com.docker.network.driver.mtu", "1400"), ("nonsense", "x"),
        ("com.docker.network.driver.mtu", "x"),
    ),
    "scope": one("", "local", "swarm", "nonsense"),
    "configfrom": one({}, {"Network": ""}, {"Network": "absent"}),
    "fromimage": one("127.0.0.1:1/absent", "UPPER", "127.0.0.1:1/absent:tag@x", ":"),
    "fromsrc": one("-", "http://127.0.0.1:1/absent", "ftp://127.0.0.1:1/x", "/"),
    "remote": one("", "127.0.0.1:1/absent", "http://127.0.0.1:1/absent", "nonsense"),
    "serveraddress": one("127.0.0.1:1", "", "nonsense"),
    "repo": one("made", "made/by", "UPPER", "", "127.0.0.1:1/made", "a" * 300),
    "tag": one("", "v1", "-", "latest", "x" * 200, "a b"),
    "platform": one("", "linux/amd64", "linux", "s390x", "a/b/c/d", '{"os":"linux","architecture":"amd64"}', "{"),
    "platforms": one('{"os":"linux","architecture":"amd64"}', "{", ""),
    "names": lambda random, world: world.name(random, "images"),
    "changes": one("ENV A=1", "CMD true", "NONSENSE", 'ENTRYPOINT ["a"', "LABEL a=b"),
    "ps_args": one("", "-ef", "aux", "-o pid,args", "--nonsense", "-o args"),
    "condition": one("", "not-running", "next-exit", "removed", "nonsense"),
    "detachkeys": one("", "ctrl-a", "ctrl-p,ctrl-q", "nonsense,", "ctrl-1"),
    "consolesize": one([24, 80], [0, 0], [1], [-1, 5], ["a", "b"]),
    "since": one("0", "1", "1700000000.5", "10m", "yesterday", "-1", "9" * 30),
    "until": one("1", "1700000000.5", "1h", "2026-01-01T00:00:00Z", "tomorrow"),
    "tail": one("all", "0", "5", "-1", "x", "9" * 30),
    "h": one("24", "0", "-1", "x", str(1 << 32)),
    "w": one("80", "0", "-1", "x", str(1 << 32)),
    "limit": one("1", "0", "-1", "x", "9" * 30),
    "version": one("1", "0", "x", "-1"),
    "follow": one("0", "0", "0", "1"),
    "checkpointdir": one(""),
    "checkpoint-dir": one(""),
    "cpushares": one(0, 512, -1),
    "forceupdate": one(0, 1),
}  # fmt: skip
GUARDED = frozenset((
    "binds", "source", "cgroupparent", "pathonhost", "devices", "driveropts", "sysctls", "logconfig", "securityopt",
    "options", "containeridfile", "checkpointdir", "checkpoint-dir", "fromsrc", "remote", "fromimage", "serveraddress",
    "t", "stoptimeout", "pidmode", "runtime", "dns", "volumedriver", "driver", "driverconfig", "storageopt", "cmd",
    "entrypoint", "restartpolicy", "device", "o",
))  # fmt: skip
"""Fields that get a value of the table above or none at all."""

FILTERS: Mapping[str, tuple[str, ...]] = {
    "ContainerList": (
        "ancestor", "before", "expose", "exited", "health", "id", "isolation", "is-task", "label", "name", "network",
        "publish", "since", "status", "volume",
    ),
    "ContainerPrune": ("label", "label!", "until"),
    "ImageList": ("before", "dangling", "label", "reference", "since", "until"),
    "ImagePrune": ("dangling", "until", "label", "label!"),
    "NetworkList": ("dangling", "driver", "id", "label", "name", "scope", "type"),
    "NetworkPrune": ("label", "label!", "until"),
    "VolumeList": ("dangling", "driver", "label", "name"),
    "VolumePrune": ("label", "label!", "all"),
    "SystemEvents": ("container", "event", "image", "label", "network", "type", "volume", "scope", "daemon"),
}  # fmt: skip
FILTER_VALUES = (
    "true", "false", "1", "x", "a=b", "running", "exited", "0", "busybox", "bridge", "local", "builtin", "80", "80/tcp",
    "1h", "^/", "(", "container", "create", "10-5", "*", "",
)  # fmt: skip
