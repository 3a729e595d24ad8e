"""Hosts become a cluster; each keeps working when they lose each other."""

from collections.abc import Iterator

import pytest

from tests.support.cluster import Hosts, engines, joining
from tests.support.waiting import until

pytestmark = pytest.mark.shoal_only


@pytest.fixture
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with engines(tmp_path_factory.mktemp("lab"), 2) as made:
        yield made


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
