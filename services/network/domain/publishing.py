"""Published ports: what is asked for, in which order ports are tried, what collides, what is shown."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.contracts.container import PortBinding
from shared.errors import InvalidArgument

from .addresses import Address, parse_address

PROTOCOLS = ("tcp", "udp", "sctp")
ANY4, ANY6 = ipaddress.IPv4Address("0.0.0.0"), ipaddress.IPv6Address("::")


@dataclass(frozen=True)
class Targets:
    """Where the published ports of a container lead: its addresses on the networks with its default routes.

    `direct`: IP versions in which the container is reached under its own address, so that nothing is taken of the
    host. `relay`: IPv6 clients of the host may be led to a container that has only IPv4.
    """

    v4: Address | None = None
    v6: Address | None = None
    direct: frozenset[int] = frozenset()
    relay: bool = True

    def of(self, version: int) -> Address | None:
        """The address that a host address of that IP version leads to."""
        if version == 4:
            return self.v4
        return self.v6 or (self.v4 if self.relay else None)


@dataclass(frozen=True)
class Place:
    """One address of the host, and the container's address that it leads to."""

    host: Address
    target: Address


@dataclass(frozen=True)
class Wish:
    """One container port to publish at all of `places`, at the first free port of `first`..`last` (0: any).

    `direct`: the container is reached under its own address, no port of the host is taken.
    """

    protocol: str
    port: int
    places: tuple[Place, ...]
    first: int = 0
    last: int = 0
    direct: bool = False

    @property
    def name(self) -> str:
        return f"{self.port}/{self.protocol}"

    @property
    def hosts(self) -> set[Address]:
        return {place.host for place in self.places}

    @property
    def chosen(self) -> bool:
        """Whether the engine is to choose the host's port."""
        return not self.direct and (self.first == 0 or self.first != self.last)

    def at(self, port: int) -> Wish | None:
        """The wish for that port of the host alone; None: it is not content with it."""
        if not self.chosen or (self.first and not self.first <= port <= self.last):
            return None
        return dataclasses.replace(self, first=port, last=port)


@dataclass(frozen=True)
class Forward:
    """A published port as it is: `host`:`host_port` leads to `target`:`target_port`. Without a host port: directly."""

    protocol: str
    host: Address
    host_port: int
    target: Address
    target_port: int

    @property
    def key(self) -> tuple[str, Address, int]:
        """What is taken of the host."""
        return self.protocol, self.host, self.host_port


def parse_port(text: str) -> tuple[int, str]:
    """`80/tcp` as number and protocol."""
    number, _, protocol = text.partition("/")
    protocol = protocol or "tcp"
    if protocol not in PROTOCOLS:
        raise InvalidArgument(f"invalid proto: {protocol!r} in port {text!r}")
    return _port(number, text), protocol


def _port(number: str, text: str) -> int:
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 65536):
        raise InvalidArgument(f"invalid port specification: {text!r}")
    return int(number)


def wishes(
    publish: Mapping[str, Sequence[PortBinding]],
    exposed: Iterable[str],
    publish_all: bool,
    targets: Targets,
    *,
    default_host: Address = ANY4,
    dual: bool = True,
) -> list[Wish]:
    """What to publish; ports with a fixed host port come first, so that no free one is chosen in their place.

    `dual`: a binding without an address is also made on `::`, as dockerd does on hosts with IPv6. Bindings that
    differ in their address only get the same port.
    """
    found: list[Wish] = []
    for name, binding in _bindings(publish, exposed, publish_all):
        port, protocol = parse_port(name)
        first, last = _range(binding.host_port)
        for host in _hosts(binding.host_ip, default_host, dual):
            target = targets.of(host.version)
            if target is None:
                continue
            if host.version in targets.direct and target.version == host.version:
                any_host = ANY4 if host.version == 4 else ANY6
                _join(found, Wish(protocol, port, (Place(any_host, target),), direct=True))
            else:
                _join(found, Wish(protocol, port, (Place(host, target),), first, last))
    return sorted(found, key=lambda wish: (wish.first == 0, wish.first != wish.last, wish.port, wish.protocol))


def _join(found: list[Wish], wish: Wish) -> None:
    """Into the wish that differs in its addresses only; one that has the address already is another (of a range)."""
    for index, other in enumerate(found):
        if dataclasses.replace(other, places=wish.places) != wish:
            continue
        if not other.hosts & wish.hosts:
            found[index] = dataclasses.replace(other, places=other.places + wish.places)
            return
        if wish.direct:
            return
    found.append(wish)


def _bindings(
    publish: Mapping[str, Sequence[PortBinding]], exposed: Iterable[str], publish_all: bool
) -> Iterator[tuple[str, PortBinding]]:
    for name, bindings in publish.items():
        for binding in bindings or (PortBinding(),):
            yield name, binding
    if publish_all:
        named = {parse_port(name) for name in publish}
        for name in exposed:
            if parse_port(name) not in named:
                yield name, PortBinding()


def _hosts(text: str, default: Address, dual: bool) -> list[Address]:
    if text:
        return [_host(text)]
    return [default, ANY6] if dual and default == ANY4 else [default]


def _host(text: str) -> Address:
    try:
        address = parse_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise InvalidArgument(f"invalid host IP address: {text!r}") from None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _range(text: str) -> tuple[int, int]:
    """Docker's `HostPort`: empty, one port, or `first-last`; a protocol after it (`8080/udp`) is ignored."""
    numbers = text.partition("/")[0]
    if numbers in ("", "0"):
        return 0, 0
    begin, separator, end = numbers.partition("-")
    first = _port(begin, text)
    last = _port(end, text) if separator else first
    if last < first:
        raise InvalidArgument(f"invalid port specification: {text!r}")
    return first, last


def candidates(wish: Wish, ephemeral: tuple[int, int], last_given: int) -> Iterator[int]:
    """Host ports in the order in which they are tried: as asked, else the ephemeral range from the last one on."""
    if wish.first:
        yield from range(wish.first, wish.last + 1)
        return
    begin, end = ephemeral
    start = last_given + 1 if begin <= last_given < end else begin
    yield from range(start, end + 1)
    yield from range(begin, start)


def collides(protocol: str, host: Address, port: int, forwards: Iterable[tuple[str, Address, int]]) -> bool:
    """Whether another published port is in the way: the same address, or either of them all addresses."""
    return any(
        protocol == other_protocol
        and port == other_port
        and host.version == other.version
        and (host == other or not int(host) or not int(other))
        for other_protocol, other, other_port in forwards
    )


def shown(forwards: Iterable[Forward], exposed: Iterable[str]) -> dict[str, tuple[PortBinding, ...] | None]:
    """Docker's `NetworkSettings.Ports`: published ports with where, exposed ones with null."""
    ports: dict[str, tuple[PortBinding, ...] | None] = {
        f"{number}/{protocol}": None for number, protocol in map(parse_port, exposed)
    }
    for forward in forwards:
        name = f"{forward.target_port}/{forward.protocol}"
        binding = PortBinding(host_ip=str(forward.host), host_port=str(forward.host_port or ""))
        ports[name] = (*(ports.get(name) or ()), binding)
    return dict(sorted(ports.items()))


@dataclass(frozen=True)
class Change:
    """How to get from the ports that are published to those wished for: what stays, what goes, what is to be taken."""

    kept: tuple[Forward, ...]
    dropped: tuple[Forward, ...]
    missing: tuple[Wish, ...]


def change(held: Sequence[Forward], wanted: Iterable[Wish]) -> Change:
    """A wish that held ports fulfil keeps them, so that connections through them live on."""
    rest = list(held)
    kept: list[Forward] = []
    missing: list[Wish] = []
    for wish in wanted:
        port = _port_of(rest, wish)
        if port is None:
            missing.append(wish)
            continue
        present = {f.host for f in rest if _serves(f, wish) and f.host_port == port}
        there = tuple(place for place in wish.places if place.host in present)
        stays = made(dataclasses.replace(wish, places=there), port)
        kept += stays
        rest = [forward for forward in rest if forward not in _at(rest, stays)]
        if more := tuple(place for place in wish.places if place.host not in present):
            missing.append(dataclasses.replace(wish, places=more, first=port, last=port))
    return Change(tuple(kept), tuple(rest), tuple(missing))


def _serves(forward: Forward, wish: Wish) -> bool:
    return (
        (forward.protocol, forward.target_port) == (wish.protocol, wish.port)
        and forward.host in wish.hosts
        and wish.direct == (forward.host_port == 0)
    )


def _port_of(held: Iterable[Forward], wish: Wish) -> int | None:
    """The held port that fulfils a wish."""
    ports = (forward.host_port for forward in held if _serves(forward, wish))
    return next((port for port in ports if not wish.first or wish.first <= port <= wish.last), None)


def _at(held: Iterable[Forward], places: Iterable[Forward]) -> list[Forward]:
    """Those of the held ports that are at the same places, wherever they lead now."""
    wanted = {(*each.key, each.target_port) for each in places}
    return [forward for forward in held if (*forward.key, forward.target_port) in wanted]


def made(wish: Wish, port: int) -> list[Forward]:
    """The wish fulfilled at a port of the host (0: without)."""
    return [Forward(wish.protocol, place.host, port, place.target, wish.port) for place in wish.places]
