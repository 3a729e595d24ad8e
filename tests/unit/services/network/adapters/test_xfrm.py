"""Messages of NETLINK_XFRM: as long as the kernel's structures, and understood by it as far as it has ESP."""

from __future__ import annotations

import errno
import ipaddress
import subprocess
from collections.abc import Iterator

import pytest

from services.network.adapters import xfrm
from services.network.adapters.netlink import Netlink
from tests.support.host_network import own_host

PAIRS = [("10.9.0.1", "10.9.0.2"), ("fd00::1", "fd00::2")]
MATERIAL = bytes(range(36))


@pytest.fixture
def netlink() -> Iterator[Netlink]:
    with own_host():
        made = Netlink(xfrm.NETLINK_XFRM)
        yield made
        made.close()


def shown(what: str) -> str:
    return subprocess.run(["ip", "xfrm", what], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("pair", PAIRS)
def test_policies_come_and_go(netlink: Netlink, pair: tuple[str, str]) -> None:
    source, destination = map(ipaddress.ip_address, pair)
    for _ in range(2):
        netlink.request(xfrm.policy(source, destination, 4790, 77))
    length = source.max_prefixlen
    text = " ".join(shown("policy").split())
    assert f"src {pair[0]}/{length} dst {pair[1]}/{length} proto udp dport 4790 dir out" in text
    assert f"tmpl src {pair[0]} dst {pair[1]} proto esp reqid 77 mode transport" in text
    netlink.request(xfrm.policy_no_more(source, destination, 4790))
    assert not shown("policy")


@pytest.mark.parametrize("pair", PAIRS)
def test_an_association_comes_back_as_it_was_made(netlink: Netlink, pair: tuple[str, str]) -> None:
    """Of the message itself: whether the kernel takes it depends on its ESP (`python -m tests.esp`)."""
    source, destination = map(ipaddress.ip_address, pair)
    body = xfrm.new_association(source, destination, 0x12345678, MATERIAL, 77, 1000).body
    found = xfrm.parse_association(body)
    assert found == xfrm.Association(source, destination, 0x12345678, 77, 0, False)
    assert body.count(b"rfc4106(gcm(aes))") == 1
    assert MATERIAL in body
    taken = True
    try:
        netlink.request(xfrm.new_association(source, destination, 0x12345678, MATERIAL, 77, 1000))
    except OSError as error:
        taken = error.errno not in (errno.EPROTONOSUPPORT, errno.ENOSYS)
    present = list(map(xfrm.parse_association, netlink.dump(xfrm.all_associations())))
    assert [(each.spi, each.reqid, each.used) for each in present] == ([(0x12345678, 77, False)] if taken else [])
    if taken:
        netlink.request(xfrm.association_no_more(destination, 0x12345678))
    with pytest.raises(OSError, match="No such process"):
        netlink.request(xfrm.association_no_more(destination, 0x12345678))
