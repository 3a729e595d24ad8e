"""Conversations with the kernel."""

from __future__ import annotations

import errno
import ipaddress
import threading
from collections.abc import Iterator

import pytest

from services.network.adapters import rtnetlink
from services.network.adapters.netlink import Netlink

pytestmark = pytest.mark.usefixtures("host_network")


@pytest.fixture
def netlink(host_network: None) -> Iterator[Netlink]:
    opened = Netlink()
    yield opened
    opened.close()


def test_a_link_is_found_by_name(netlink: Netlink) -> None:
    link = netlink.link("lo")
    assert link is not None
    assert (link.index, link.up) == (rtnetlink.LOOPBACK, True)
    assert netlink.link("nothing") is None


def test_several_requests_are_one_send_and_all_are_carried_out(netlink: Netlink) -> None:
    netlink.request(
        rtnetlink.new_bridge("br0", "02:42:00:00:00:01", 1400), rtnetlink.new_bridge("br1", "02:42:00:00:00:02", 1500)
    )
    assert [link.name for link in netlink.links() if link.kind == "bridge"] == ["br0", "br1"]
    br0 = netlink.link("br0")
    assert br0 is not None
    assert br0.mac == "02:42:00:00:00:01"


def test_the_first_failure_is_raised_and_later_requests_still_count(netlink: Netlink) -> None:
    bad = rtnetlink.new_address(rtnetlink.LOOPBACK + 77, ipaddress.ip_interface("10.0.0.1/8"))
    with pytest.raises(OSError, match="No such device") as caught:
        netlink.request(bad, rtnetlink.new_bridge("br0", "02:42:00:00:00:01", 1500))
    assert caught.value.errno == errno.ENODEV
    assert netlink.link("br0") is not None


def test_the_kernels_own_words_are_told(netlink: Netlink) -> None:
    with pytest.raises(OSError, match=r"\(.+\)"):
        netlink.request(rtnetlink.default_route(ipaddress.ip_address("203.0.113.1"), 999))


def test_dumps_are_whole(netlink: Netlink) -> None:
    for number in range(60):
        netlink.request(rtnetlink.new_bridge(f"br{number}", f"02:42:00:00:00:{number:02x}", 1500))
    assert len(netlink.links()) >= 61


def test_threads_may_share_a_socket(netlink: Netlink) -> None:
    def work(number: int) -> None:
        for each in range(10):
            netlink.request(rtnetlink.new_bridge(f"t{number}x{each}", f"02:42:00:00:{number:02x}:{each:02x}", 1500))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(link.name.startswith("t") for link in netlink.links()) == 40
