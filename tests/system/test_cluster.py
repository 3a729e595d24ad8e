"""Hosts become a cluster; each keeps working when they lose each other."""

import json
from collections.abc import Iterator

import pytest

from tests.support.cluster import Hosts, engines, joining
from tests.support.waiting import until

pytestmark = pytest.mark.shoal_only


@pytest.fixture
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with engines(tmp_path_factory.mktemp("lab"), 2) as made:
        yield made


async def test_what_a_host_cannot_know_while_it_is_cut_off(hosts: Hosts) -> None:
    """It guesses nothing, and knows later what has happened."""
    hosts.load()
    hosts.init()
    hosts.join(2)
    data = ("-v", "data:/d", "busybox")
    hosts.docker(2, "run", "--label", "shoal.node=node2", *data, "touch", "/d/kept")
    since = hosts.docker(1, "info", "--format", "{{.SystemTime}}")
    hosts.lab.cut(1, 2)
    await until(lambda: "Host Down" in hosts.docker(1, "ps", "-a"), 60)  # a shorter cut breaks no connection
    for number in (1, 2):
        hosts.docker(number, "volume", "create", f"of{number}", "--label", f"shoal.node=node{number}")
    processes = json.loads(hosts.shoal_ok(1, "status", "--json"))
    hosts.ok(1, "kill", "-9", str(next(one["pid"] for one in processes if one["name"] == "scheduler")))
    reads = ("run", "--rm", *data, "ls", "/d")
    await until(lambda: "volume data may be on node2, which cannot" in hosts.refused(1, *reads), 60)
    hosts.lab.mend(1, 2)
    await until(lambda: hosts.run(1, "docker", *reads).stdout == "kept\n", 60)

    def told(number: int) -> list[str]:
        now = hosts.docker(number, "info", "--format", "{{.SystemTime}}")
        which = ("--filter", "type=volume", "--filter", "event=create", "--format", "{{.Actor.ID}}")
        return hosts.docker(number, "events", "--since", since, "--until", now, *which).splitlines()

    await until(lambda: told(1) == told(2), 60)
    assert told(1) == ["of1", "of2"]


async def test_two_hosts_become_a_cluster(hosts: Hosts) -> None:
    assert "in no cluster" in hosts.shoal(1, "node", "ls").stderr
    hosts.shoal_ok(1, "cluster", "init", "--address", "198.18.0.1")
    assert "already" in hosts.shoal(1, "cluster", "init", "--address", "198.18.0.1").stderr
    join = joining(hosts.shoal_ok(1, "cluster", "token"), "198.18.0.2")
    wrong = [word.replace("SHOAL-1-", "SHOAL-1-a") if word.startswith("SHOAL") else word for word in join]
    assert "no join token" in hosts.shoal(2, *wrong).stderr
    hosts.shoal_ok(2, *join)
    assert hosts.seen(1) == hosts.seen(2) == {"node1": True, "node2": True}

    hosts.lab.cut(1, 2)
    await until(lambda: hosts.seen(2) == {"node1": False, "node2": True}, 60)
    hosts.docker(2, "version")
    hosts.lab.mend(1, 2)
    await until(lambda: hosts.seen(2) == hosts.seen(1) == {"node1": True, "node2": True}, 60)

    assert "node2 is not drained" in hosts.shoal(1, "node", "rm", "node2").stderr
    hosts.shoal_ok(1, "node", "drain", "node2")
    hosts.docker(1, "node", "rm", "node2")
    assert hosts.seen(1) == {"node1": True}
    await until(lambda: "in no cluster" in hosts.shoal(2, "node", "ls").stderr, 60)
    hosts.docker(2, "version")
    hosts.join(2)
    hosts.shoal_ok(1, "node", "leave", "--force")  # the only hub: the other host takes over what is agreed on
    assert "in no cluster" in hosts.shoal(1, "node", "ls").stderr
    await until(lambda: hosts.hubs(2) == {"node2"}, 120)
