"""The host's interface, routes and rules of the routing mesh. Methods wait for the kernel: call them in a thread."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Callable, Iterator

from shared import telemetry

from ..domain import mesh
from ..domain.addresses import Address
from ..domain.mesh import Mesh, Peer, Target
from ..domain.ruleset import MESH_MASK
from . import rtneigh, rtnetlink, rtrules, sysctl
from .netlink import Netlink
from .rtnetlink import Message
from .vxlan import PORT

TABLES, PRIORITY = 48000, 4791
"""The table of a host is this and its number; after all hosts' comes that of what clients are led to."""
TARGETS = TABLES + (MESH_MASK >> mesh.SHIFT)
_GONE = (errno.ENOENT, errno.ESRCH, errno.ENODEV, errno.EADDRNOTAVAIL)


class MeshLink:
    """`bridge` names the interface of a network here. What is made stays when this object ends."""

    def __init__(self, name: str, node: str, host: Callable[[], Address], bridge: Callable[[str], str]) -> None:
        self._name, self._node, self._host, self._bridge = name, node, host, bridge
        self._netlink = Netlink()
        self._present = Mesh()
        self._whole = False
        """Whether the kernel has all of it, and no more."""
        self._index = 0

    def close(self) -> None:
        self._netlink.close()

    def apply(self, wanted: Mesh, mtu: int) -> None:
        """The host has this of the mesh, and no more. Raises `OSError`."""
        before, whole = self._present, self._whole
        if wanted == before and whole:
            return
        # Until all is done the host may have both: what fails half done is taken back, too.
        self._present = Mesh({**wanted.peers, **before.peers}, {**wanted.targets, **before.targets}, wanted.ports)
        self._whole = False
        with telemetry.span("mesh.apply", peers=len(wanted.peers), targets=len(wanted.targets)):
            led = self._add(wanted, before if whole else Mesh(), mtu) if wanted.ports else True
            self._remove(wanted, before)
            self._present, self._whole = wanted, led

    def _add(self, wanted: Mesh, before: Mesh, mtu: int) -> bool:
        """Whether there is a way to all targets: a bridge may be still to come."""
        self._ensure(mtu)
        for node, peer in wanted.peers.items():
            self._add_peer(peer, new=node not in before.peers)
        if any(target.address.version == 6 for target in wanted.targets.values()):
            sysctl.enable_forwarding(ipv6=True)
        led = [self._lead(target, wanted) for target in wanted.targets.values()]
        return all(led)

    def _ensure(self, mtu: int) -> None:
        link = self._netlink.link(self._name)
        if link is None:
            made = rtnetlink.new_vxlan(self._name, mesh.VNI, self._host(), PORT, mtu, 0)
            own = rtnetlink.set_link(name=self._name, mac=mesh.mac(self._node), up=True)
            self._netlink.request(made)
            for switch, value in (("addr_gen_mode", "1"), ("disable_ipv6", "0"), ("accept_ra", "0")):
                sysctl.write(f"ipv6/conf/{self._name}/{switch}", value)
            sysctl.write(
                f"ipv4/conf/{self._name}/route_localnet", "1"
            )  # answers to the host's own clients at 127.0.0.1
            loosen(self._name)
            self._netlink.request(own)
            link = self._netlink.link(self._name)
        if link is None:
            raise OSError(errno.ENODEV, f"interface {self._name} is gone")
        self._index = link.index
        self._netlink.request(rtnetlink.new_address(link.index, ipaddress.ip_interface(self._host())))
        for version in (4, 6):
            self._rule(_rule_to_targets(version))

    def _add_peer(self, peer: Peer, *, new: bool) -> None:
        self._netlink.request(
            rtneigh.forward(self._index, peer.mac, peer.host), rtneigh.neighbour(self._index, peer.hop, peer.mac)
        )
        if new:
            for version in (4, 6):
                with _without(version):
                    self._netlink.request(rtrules.route(version, TABLES + peer.number, self._index, peer.hop))
                self._rule(_rule_of(version, peer))

    def _lead(self, target: Target, wanted: Mesh) -> bool:
        """Whether there is a way to it."""
        if target.peer is not None:
            route = rtrules.route(target.address, TARGETS, self._index, wanted.peers[target.peer].hop)
            with _without(target.address.version):
                self._netlink.request(route)
            return True
        name = self._bridge(target.network_id)
        link = self._netlink.link(name)
        if link is None:
            return False  # the container is just coming, or leaving
        if target.address.version == 6:
            sysctl.write(f"ipv6/conf/{name}/addr_gen_mode", "1")
            sysctl.write(f"ipv6/conf/{name}/disable_ipv6", "0")
        with _without(target.address.version):
            self._netlink.request(
                rtneigh.neighbour(link.index, target.address, target.mac),
                rtrules.route(target.address, TARGETS, link.index),
            )
        return True

    def _remove(self, wanted: Mesh, before: Mesh) -> None:
        for address in before.targets.keys() - wanted.targets.keys():
            self._each(rtrules.route_no_more(address, TARGETS))
        for address, target in before.targets.items():
            now = wanted.targets.get(address)
            if target.peer is None and (now is None or now.peer is not None):
                link = self._netlink.link(self._bridge(target.network_id))
                if link is not None:
                    self._each(rtneigh.neighbour_no_more(link.index, address))
        for node in before.peers.keys() - wanted.peers.keys():
            self._remove_peer(before.peers[node])
        if not wanted.ports:
            for version in (4, 6):
                while self._each(rtrules.next_rule_no_more(version, PRIORITY)):  # also those of a service that died
                    pass
            if (link := self._netlink.link(self._name)) is not None:
                self._each(rtnetlink.delete_link(link.index))

    def _remove_peer(self, peer: Peer) -> None:
        self._each(rtneigh.forward_no_more(self._index, peer.mac))
        self._each(rtneigh.neighbour_no_more(self._index, peer.hop))
        for version in (4, 6):
            self._each(rtrules.rule_no_more(_rule_of(version, peer)))
            self._each(rtrules.route_no_more(version, TABLES + peer.number))

    def _each(self, message: Message) -> bool:
        """Whether it was there: what is gone already is fine."""
        try:
            self._netlink.request(message)
        except OSError as error:
            if error.errno not in _GONE and error.errno != errno.EAFNOSUPPORT:
                raise
            return False
        return True

    def _rule(self, rule: Message) -> None:
        with contextlib.suppress(FileExistsError):
            try:
                self._netlink.request(rule)
            except OSError as error:
                if error.errno != errno.EAFNOSUPPORT:
                    raise


def _rule_of(version: int, peer: Peer) -> Message:
    return rtrules.mark_rule(version, peer.mark, MESH_MASK, TABLES + peer.number, PRIORITY)


def _rule_to_targets(version: int) -> Message:
    return rtrules.mark_rule(version, MESH_MASK, MESH_MASK, TARGETS, PRIORITY)


@contextlib.contextmanager
def _without(version: int) -> Iterator[None]:
    """A host without IPv6 has none of it."""
    try:
        yield
    except OSError as error:
        if version == 4 or error.errno not in (errno.EAFNOSUPPORT, errno.EACCES, errno.EINVAL, errno.ENODEV):
            raise


def loosen(name: str) -> None:
    """Packets come by this interface whose answers go elsewhere: the reverse path is not asked for (RFC 3704)."""
    strict = sysctl.read("ipv4/conf/all/rp_filter") == "1"
    sysctl.write(f"ipv4/conf/{name}/rp_filter", "2" if strict else "0")


def hold(protocol: str, port: int) -> socket.socket | None:
    """Keeps the host's programs from a port at all addresses while the socket is open; what arrives there is refused.

    None: the host has no such protocol. Raises `OSError` where a program, or a published port of this host, has it.
    """
    kind, number = {
        "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
        "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
        "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
    }[protocol]
    for family, anywhere in ((socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")):
        try:
            made = socket.socket(family, kind | socket.SOCK_CLOEXEC, number)
        except OSError as error:
            if error.errno not in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
                raise
            continue
        try:
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            made.bind((anywhere, port))
        except OSError:
            made.close()
            raise
        return made
    return None
