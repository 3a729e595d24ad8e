"""What a lost host had runs on another; a host that is cut off ends it before."""

import json
from collections.abc import Iterator

import pytest

from tests.support.cluster import Hosts, engines
from tests.support.waiting import until

pytestmark = pytest.mark.shoal_only

SECONDS = 60.0
"""The aim is 15; a busy machine may need more."""
CLOCK = "while :; do read up rest </proc/uptime; echo $up; usleep 50000; done"
NAMES = ("c1", "c2", "c3")


@pytest.fixture
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Three hosts, each with a hub."""
    with engines(tmp_path_factory.mktemp("loss"), 3) as made:
        made.load()
        made.init()
        made.join(2)
        made.join(3)
        yield made


def inspect(hosts: Hosts, number: int, form: str, *names: str) -> list[str]:
    return hosts.docker(number, "inspect", "-f", form, *names).splitlines()


def hubs(hosts: Hosts) -> int:
    listed = json.loads(hosts.shoal_ok(1, "node", "ls", "--json"))
    return sum(one["record"]["role"] == "hub" for one in listed)


def without(hosts: Hosts, lost: str) -> bool:
    """Whether all run, and on other hosts than this, as the first host sees it."""
    seen = inspect(hosts, 1, "{{.State.Running}} {{.Node.Name}}", *NAMES)
    return all(line.startswith("true ") and line != f"true {lost}" for line in seen)


async def test_containers_of_lost_hosts_run_elsewhere_and_never_twice(hosts: Hosts) -> None:
    await until(lambda: hubs(hosts) == 3, SECONDS)
    always = ("-d", "--restart", "always")
    for name in NAMES:
        hosts.docker(1, "run", *always, "--name", name, "busybox", "sh", "-c", CLOCK)
    hosts.docker(1, "run", *always, "--name", "bound", "--label", "shoal.node=node3", "busybox", "sleep", "100000")
    assert sorted(inspect(hosts, 1, "{{.Node.Name}}", *NAMES)) == ["node1", "node2", "node3"]

    hosts.lab.kill(3)
    await until(lambda: without(hosts, "node3"), SECONDS)
    await until(lambda: status(hosts, 1, "bound") == "Host Down", SECONDS)  # it is bound to its host
    hosts.lab.start(3)
    hosts.shoal_ok(3, "up")
    await until(lambda: inspect(hosts, 1, "{{.State.Running}}", "bound") == ["true"], SECONDS)
    await until(lambda: processes(hosts, 3) == 0, SECONDS)
    assert without(hosts, "node3")

    away = next(name for name in NAMES if inspect(hosts, 1, "{{.Node.Name}}", name) == ["node2"])
    hosts.lab.cut(2, 1)
    hosts.lab.cut(2, 3)
    await until(lambda: without(hosts, "node2"), SECONDS)
    assert processes(hosts, 2) == 0
    assert status(hosts, 2, away).startswith("Restarting")
    seen = int(inspect(hosts, 1, "{{.Node.Name}}", away)[0].removeprefix("node"))
    last, first = hosts.docker(2, "logs", away).split()[-1], hosts.docker(seen, "logs", away).split()[0]
    assert float(last) < float(first)


def status(hosts: Hosts, number: int, name: str) -> str:
    return hosts.docker(number, "ps", "-a", "--filter", f"name={name}", "--format", "{{.Status}}")


def processes(hosts: Hosts, number: int) -> int:
    """How many of the containers' processes a host has, whatever its engine says."""
    return int(hosts.ok(number, "sh", "-c", "pgrep -fc '[r]ead up rest' || true"))
