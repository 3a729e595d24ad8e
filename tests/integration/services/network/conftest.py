"""The network service on a host of its own, with another host beside it."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.network.adapters import namespaces, rtnetlink, sysctl
from services.network.adapters.links import HostLinks
from services.network.adapters.netlink import Netlink
from tests.support.host_network import own_host
from tests.support.network_world import HOST, HOST6, NEIGHBOUR, NEIGHBOUR6, NetworkWorld


@pytest.fixture
def world(tmp_path: Path) -> Iterator[NetworkWorld]:
    with own_host():
        made = NetworkWorld(tmp_path)
        yield made
        made.sweep()


@pytest.fixture
async def running(world: NetworkWorld) -> AsyncIterator[None]:
    async with world.running():
        yield


@pytest.fixture
def neighbour(running: None, tmp_path: Path) -> Iterator[str]:
    """Another machine on the host's network `lan0`, as the path of its namespace; its routes lead to the host."""
    path = tmp_path / "neighbour"
    namespace = namespaces.create()
    namespace.pin(path)
    links, netlink = HostLinks(), Netlink()
    index = links.add_veth("lan0", "eth0", namespace.descriptor, 1500)
    netlink.request(
        *(rtnetlink.new_address(index, ipaddress.ip_interface(text)) for text in (f"{HOST}/24", f"{HOST6}/64"))
    )
    namespace.run(lambda: sysctl.write("ipv6/conf/eth0/disable_ipv6", "0"))
    link = namespace.netlink.link("eth0")
    assert link is not None
    own = [ipaddress.ip_interface(text) for text in (f"{NEIGHBOUR}/24", f"{NEIGHBOUR6}/64")]
    namespace.netlink.request(
        rtnetlink.set_link(link.index, up=True),
        *(rtnetlink.new_address(link.index, address) for address in own),
        *(rtnetlink.default_route(ipaddress.ip_address(text), link.index) for text in (HOST, HOST6)),
    )
    namespace.close()
    yield str(path)
    namespaces.unpin(path)
    netlink.close()
    links.close()
