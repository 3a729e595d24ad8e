from pathlib import Path

import pytest

from shared.errors import InvalidArgument
from tools.lab.plan import address, mac, plan


def test_hosts_have_names_addresses_and_folders_of_their_own() -> None:
    made = plan(Path("/lab"), 250)
    for each in (address, mac, made.home, made.cgroup):
        assert len({each(number) for number in made.numbers}) == 250
    assert made.cgroup(1) != plan(Path("/other/lab"), 1).cgroup(1), "labs in folders of one name run beside each other"
    assert made.environment(2)["SHOAL_STATE_DIR"] == "/lab/2/state"
    assert made.environment(2)["SHOAL_NODE_NAME"] == "node2"


@pytest.mark.parametrize("hosts", [0, -1, 251])
def test_a_lab_that_cannot_be(hosts: int) -> None:
    with pytest.raises(InvalidArgument, match=f"1 to 250 hosts, not {hosts}"):
        plan(Path("/lab"), hosts)


@pytest.mark.parametrize("number", [0, 4])
def test_a_host_that_is_not_there(number: int) -> None:
    with pytest.raises(InvalidArgument, match=f"hosts 1 to 3; there is no host {number}"):
        plan(Path("/lab"), 3).check(number)
