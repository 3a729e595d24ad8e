"""Networks that have neither interface nor address."""

from __future__ import annotations

from services.network.domain import drivers
from shared.contracts.network import NetworkSpec

SPEC = NetworkSpec(id="n1", name="host", created=0, driver="host")


def test_host_and_none_need_nothing() -> None:
    driver = drivers.of(SPEC)
    driver.check({"any": "thing"}, False)
    driver.check_subnets((4, 4, 6), ipv4=False, ipv6=False)
    assert (driver.interface(SPEC, "shl"), driver.link(SPEC, "shl", ()), driver.wire(SPEC, "shl")) == ("", None, None)
    assert (driver.rules(SPEC, "shl"), driver.conflict(SPEC, SPEC)) == (None, "")
    assert not any([driver.has_gateway({}, False, 4), driver.publishes, driver.routes_by_link(SPEC)])


def test_drivers_have_names() -> None:
    assert drivers.find("bridge") is not None
    assert drivers.find("overlay") is None
    configuration = NetworkSpec(id="c", name="cfg", created=0, driver="bridge", config_only=True)
    assert drivers.of(configuration).interface(configuration, "shl") == ""
