import pytest

from services.network.domain import drivers, options
from services.network.domain.drivers import Overlay
from services.network.domain.drivers.overlay import mtu
from shared.contracts.network import NetworkSpec
from shared.errors import InvalidArgument

SPEC = NetworkSpec(id="0123456789abcdef", name="net", created=1, driver="overlay", vni=4097, mtu=1450)
DRIVER = Overlay()


def test_whoever_serves_a_network_across_hosts_it_has_a_bridge_without_addresses() -> None:
    foreign = NetworkSpec(id="1", name="n", created=1, driver="somebody's", vni=4098)
    assert isinstance(drivers.of(SPEC), Overlay)
    assert isinstance(drivers.of(foreign), Overlay)
    link = DRIVER.link(SPEC, "shl", ())
    assert (link.name, link.addresses, link.mtu, link.mark) == ("shl-0123456789", (), 1450, "shl:0123456789abcdef")


def test_nothing_passes_between_it_and_the_host() -> None:
    rules = DRIVER.rules(SPEC, "shl")
    assert rules.internal
    assert not rules.families
    assert DRIVER.internal(SPEC)


def test_containers_are_ports_of_the_bridge_and_have_the_networks_mtu() -> None:
    assert DRIVER.wire(SPEC, "shl").master == DRIVER.interface(SPEC, "shl")
    assert DRIVER.mtu(SPEC) == 1450
    assert DRIVER.has_gateway({}, False, 4)


def test_packets_between_hosts_have_fifty_bytes_around_them_or_seventy_of_ipv6() -> None:
    assert mtu({}, 1500, 4) == 1450
    assert mtu({}, 9000, 6) == 8930
    assert mtu({options.MTU: "1400"}, 9000, 4) == 1350


def test_options_and_versions_are_checked() -> None:
    with pytest.raises(InvalidArgument):
        DRIVER.check({options.MTU: "many"}, False)
    with pytest.raises(InvalidArgument):
        DRIVER.check_subnets((), ipv4=False, ipv6=False)
    DRIVER.check_subnets((4, 4), ipv4=True, ipv6=False)
