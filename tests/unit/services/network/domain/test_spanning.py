from services.network.domain import pools
from services.network.domain.spanning import FIRST_NUMBER, collide, free_number, pools_of, removing
from shared.contracts.network import IPAM, IPAMConfig, NetworkSpec


def spec(name: str, subnet: str) -> NetworkSpec:
    return NetworkSpec(id=name, name=name, created=1, ipam=IPAM(config=(IPAMConfig(subnet=subnet),)))


def test_the_lowest_number_that_is_free() -> None:
    assert free_number([]) == FIRST_NUMBER
    assert free_number([FIRST_NUMBER, FIRST_NUMBER + 2]) == FIRST_NUMBER + 1


def test_networks_collide_by_name_or_address() -> None:
    one = spec("one", "10.0.1.0/24")
    assert collide(one, spec("one", "10.0.2.0/24"))
    assert collide(one, spec("two", "10.0.0.0/16"))
    assert not collide(one, spec("two", "10.0.2.0/24"))


def test_pools_begin_as_in_swarm_mode_and_have_ipv6_of_the_cluster() -> None:
    assert str(pools.choose(4, pools_of("c1"), [])) == "10.0.1.0/24"
    assert pools.choose(6, pools_of("c1"), []) != pools.choose(6, pools_of("c2"), [])


def test_a_network_that_is_being_removed_says_by_whom() -> None:
    assert removing(spec("one", "10.0.1.0/24"), "here").removing == "here"
