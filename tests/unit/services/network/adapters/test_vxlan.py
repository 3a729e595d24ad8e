import asyncio
import ipaddress
import subprocess
from collections.abc import Iterator

import msgspec
import pytest

from services.network.adapters import vxlan
from services.network.adapters.links import HostLinks
from services.network.adapters.netlink import Netlink
from services.network.adapters.tunnel import CARRIED
from services.network.adapters.vxlan import VxlanDriver
from services.network.domain.drivers import HostLink
from services.network.domain.peers import Entries
from shared.contracts.network_driver import CheckRequest, JoinRequest, LeaveRequest, Peer, PeersRequest
from shared.errors import FailedPrecondition, NotImplementedYet

JOIN = JoinRequest(network="n", bridge="tst-b", port="tst-bx", vni=4097, host="127.0.0.1", mtu=1450)
MAC, OTHER = "02:42:0a:00:01:02", "02:42:0a:00:01:03"


class Keys:
    """Remembers what is asked of it; agrees with nobody that is silent."""

    def __init__(self) -> None:
        self.opened, self.known, self.silent, self.waited = 0, set[str](), set[str](), list[str]()
        self.swept = 0

    async def open(self) -> None:
        self.opened += 1

    def peers(self, addresses: set[str]) -> None:
        self.known = addresses

    async def end(self) -> None:
        self.opened = 0

    async def sweep(self) -> None:
        self.swept += 1

    async def agreed(self, address: str) -> None:
        self.waited.append(address)
        if address in self.silent:
            await asyncio.Event().wait()


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def driver(host_network: None, keys: Keys) -> Iterator[VxlanDriver]:
    links = HostLinks()
    links.ensure(HostLink("tst-b"))
    made = VxlanDriver(keys)
    yield made
    made.close()
    links.close()


def known(driver: VxlanDriver) -> Entries:
    """What the kernel has of the interface."""
    netlink = Netlink()
    link = netlink.link("tst-bx")
    netlink.close()
    assert link is not None
    return driver._present(link.index)


def shown(name: str) -> str:
    return subprocess.run(["ip", "-d", "link", "show", name], check=True, capture_output=True, text=True).stdout


def index_of(name: str) -> int:
    netlink = Netlink()
    link = netlink.link(name)
    netlink.close()
    return link.index if link is not None else 0


async def test_joining_again_keeps_the_interface_and_another_host_address_makes_it_anew(driver: VxlanDriver) -> None:
    await driver.join(JOIN)
    first = index_of("tst-bx")
    await driver.join(JOIN)
    assert index_of("tst-bx") == first
    await driver.join(JoinRequest(network="n", bridge="tst-b", port="tst-bx", vni=4097, host="127.0.0.2", mtu=1450))
    assert index_of("tst-bx") not in (0, first)


async def test_between_hosts_with_ipv6_addresses(driver: VxlanDriver) -> None:
    await driver.join(JoinRequest(network="n", bridge="tst-b", port="tst-bx", vni=4097, host="::1", mtu=1430))
    await driver.peers(PeersRequest(network="n", port="tst-bx", peers=(Peer(mac=MAC, addresses=(), host="fd00::9"),)))
    assert known(driver) == Entries({MAC: ipaddress.ip_address("fd00::9")}, {})


async def test_peers_are_all_that_is_known(driver: VxlanDriver) -> None:
    await driver.join(JOIN)
    one = Peer(mac=MAC, addresses=("10.0.1.2", "fd00::2"), host="192.0.2.2")
    two = Peer(mac=OTHER, addresses=("10.0.1.3",), host="192.0.2.3")
    await driver.peers(PeersRequest(network="n", port="tst-bx", peers=(one, two)))
    moved = Peer(mac=MAC, addresses=("10.0.1.2", "fd00::2"), host="192.0.2.9")
    await driver.peers(PeersRequest(network="n", port="tst-bx", peers=(moved,)))
    address = ipaddress.ip_address
    assert known(driver) == Entries({MAC: address("192.0.2.9")}, {address("10.0.1.2"): MAC, address("fd00::2"): MAC})


async def test_leaving_takes_all_away_and_may_be_done_again(driver: VxlanDriver) -> None:
    await driver.join(JOIN)
    for _ in range(2):
        await driver.leave(LeaveRequest(network="n", port="tst-bx"))
    assert not index_of("tst-bx")
    await driver.peers(PeersRequest(network="n", port="tst-bx"))  # nobody is there to be told


async def test_what_cannot_be_is_refused(driver: VxlanDriver) -> None:
    with pytest.raises(FailedPrecondition, match="tst-c does not exist"):
        await driver.join(JoinRequest(network="n", bridge="tst-c", port="x", vni=1, host="127.0.0.1", mtu=1450))
    with pytest.raises(NotImplementedYet):
        await driver.check(CheckRequest(options={vxlan.VNI_LIST: "5000"}))
    await driver.check(CheckRequest())
    await driver.check(CheckRequest(options={"encrypted": ""}))


SECRET = msgspec.structs.replace(JOIN, options={"encrypted": ""})


async def test_an_encrypted_network_has_a_port_of_its_own(driver: VxlanDriver, keys: Keys) -> None:
    await driver.join(JOIN)
    await driver.peers(
        PeersRequest(network="n", port="tst-bx", peers=(Peer(mac=MAC, addresses=("10.0.1.2",), host="192.0.2.2"),))
    )
    assert (keys.opened, keys.waited) == (0, []), "it is not asked for others"
    await driver.join(SECRET)
    assert f"dstport {CARRIED}" in shown("tst-bx")
    assert keys.opened == 1
    await driver.sweep()
    assert keys.swept == 0
    await driver.leave(LeaveRequest(network="n", port="tst-bx"))
    await driver.sweep()
    assert keys.swept == 1


async def test_there_are_keys_before_anybody_is_reached(
    driver: VxlanDriver, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vxlan, "PATIENCE", 0.05)
    await driver.join(SECRET)
    one, two = (
        Peer(mac=MAC, addresses=("10.0.1.2",), host="192.0.2.2"),
        Peer(mac=OTHER, addresses=("10.0.1.3",), host="192.0.2.3"),
    )
    keys.silent = {"192.0.2.3"}
    await driver.peers(PeersRequest(network="n", port="tst-bx", peers=(one,)))
    await driver.peers(PeersRequest(network="n", port="tst-bx", peers=(one, two)))
    assert keys.waited == ["192.0.2.2", "192.0.2.3"], "each is waited for once, and not for ever"
    assert keys.known == {"192.0.2.2", "192.0.2.3"}
    assert len(known(driver).hosts) == 2
    await driver.leave(LeaveRequest(network="n", port="tst-bx"))
    assert (keys.known, keys.opened) == (set(), 0)
