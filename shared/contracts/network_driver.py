"""Contract of a driver of networks across hosts: what joins the bridges of such a network on all hosts into one.

The network service keeps networks, addresses, names, and containers' stacks, whose interfaces it makes ports of a
bridge on each host. A driver brings frames from the bridge on its host to those on others. It is served on each host,
and is addressed there as node `<node id>-<driver's name>`: `shoal.v1.network_driver.<node id>-<name>.join` and so on.
"""

from __future__ import annotations

from shared.contracts.base import Contract, Empty, Endpoint, Message
from shared.errors import FailedPrecondition, InvalidArgument


class CheckRequest(Message, frozen=True):
    """A network that is to be made. `options` are the user's (`--opt`)."""

    options: dict[str, str] = {}
    internal: bool = False


class JoinRequest(Message, frozen=True):
    """This host's first container comes to the network.

    `bridge` is the interface that the containers are ports of; `port` the name for the interface that the driver is to
    make another port of it, and that is gone after `leave`. `vni` is the network's own number in the cluster. `host` is
    this host's address among hosts, `mtu` that of containers' interfaces.
    """

    network: str
    bridge: str
    port: str
    vni: int
    host: str
    mtu: int
    options: dict[str, str] = {}


class LeaveRequest(Message, frozen=True):
    """This host's last container has left the network."""

    network: str
    port: str


class Peer(Message, frozen=True):
    """A container's interface on another host: its MAC, its addresses, the host's address."""

    mac: str
    addresses: tuple[str, ...]
    host: str


class PeersRequest(Message, frozen=True):
    """All interfaces on the network that are on other hosts, now; what was told before and is not here is gone."""

    network: str
    port: str
    peers: tuple[Peer, ...] = ()


CHECK = Endpoint("network_driver.check", CheckRequest, Empty, (InvalidArgument,), idempotent=True)
JOIN = Endpoint("network_driver.join", JoinRequest, Empty, (FailedPrecondition, InvalidArgument), idempotent=True)
LEAVE = Endpoint("network_driver.leave", LeaveRequest, Empty, idempotent=True)
PEERS = Endpoint("network_driver.peers", PeersRequest, Empty, (FailedPrecondition,), idempotent=True)

CONTRACT = Contract(
    name="network_driver",
    version="v1",
    summary="What joins the bridges that a network has on several hosts.",
    endpoints=(CHECK, JOIN, LEAVE, PEERS),
)
