"""Two hosts become a cluster; each keeps working when they lose each other."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.waiting import until
from tools.lab.lab import Lab

pytestmark = pytest.mark.shoal_only


class Hosts:
    """A lab whose hosts have engines."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def shoal(self, number: int, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = self.lab.plan.environment(number)
        return self.lab.host(number).run([str(self.lab.plan.folder / "bin/shoal"), *arguments], environment)

    def ok(self, number: int, *arguments: str) -> str:
        done = self.shoal(number, *arguments)
        assert done.returncode == 0, f"{number} {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def seen(self, number: int) -> dict[str, bool]:
        """The hosts as one of them sees them: name, and whether it answers."""
        return {
            one["record"]["name"]: one.get("ready", False)
            for one in json.loads(self.ok(number, "node", "ls", "--json"))
        }


@pytest.fixture
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    lab = Lab.up(tmp_path_factory.mktemp("lab"), 2)
    try:
        made = Hosts(lab)
        for number in lab.plan.numbers:
            made.ok(number, "up")
        yield made
    finally:
        lab.down()


def joining(told: str, address: str) -> list[str]:
    """The arguments of what `shoal cluster token` says to type."""
    return told.strip().replace("ITS-ADDRESS", address).split()[1:]


async def test_two_hosts_become_a_cluster(hosts: Hosts) -> None:
    assert "in no cluster" in hosts.shoal(1, "node", "ls").stderr
    hosts.ok(1, "cluster", "init", "--address", "198.18.0.1")
    assert "already" in hosts.shoal(1, "cluster", "init", "--address", "198.18.0.1").stderr
    join = joining(hosts.ok(1, "cluster", "token"), "198.18.0.2")
    wrong = [word.replace("SHOAL-1-", "SHOAL-1-a") if word.startswith("SHOAL") else word for word in join]
    assert "no join token" in hosts.shoal(2, *wrong).stderr
    hosts.ok(2, *join)
    assert hosts.seen(1) == hosts.seen(2) == {"node1": True, "node2": True}

    hosts.lab.cut(1, 2)
    await until(lambda: hosts.seen(2) == {"node1": False, "node2": True}, 60)
    alone = hosts.lab.host(2).run(["docker", "version", "-f", "{{.Server.Version}}"], hosts.lab.plan.environment(2))
    assert alone.returncode == 0, alone.stderr
    hosts.lab.mend(1, 2)
    await until(lambda: hosts.seen(2) == hosts.seen(1) == {"node1": True, "node2": True}, 60)
