"""Published ports: what is asked for, in which order ports are tried, what collides, what is shown."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.contracts.container import PortBinding
from shared.errors import InvalidArgument

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
PROTOCOLS = ("tcp", "udp", "sctp")
ANY4, ANY6 = ipaddress.IPv4Address("0.0.0.0"), ipaddress.IPv6Address("::")


@dataclass(frozen=True)
class Wish:
    """One container port to publish at all of `hosts`, at the first free port of `first`..`last` (0: any)."""

    protocol: str
    port: int
    hosts: tuple[Address, ...]
    first: int = 0
    last: int = 0

    @property
    def name(self) -> str:
        return f"{self.port}/{self.protocol}"


@dataclass(frozen=True)
class Forward:
    """A published port as it is: `host`:`host_port` leads to `target`:`target_port`."""

    protocol: str
    host: Address
    host_port: int
    target: Address
    target_port: int


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
    *,
    default_host: Address = ANY4,
    dual: bool = True,
) -> list[Wish]:
    """What to publish; ports with a fixed host port come first, so that no free one is chosen in their place.

    `dual`: a binding without an address is also made on `::`, as dockerd does on hosts with IPv6.
    """
    found = []
    for name, bindings in publish.items():
        port, protocol = parse_port(name)
        for binding in bindings or (PortBinding(),):
            first, last = _range(binding.host_port)
            found.append(Wish(protocol, port, _hosts(binding.host_ip, default_host, dual), first, last))
    if publish_all:
        named = {(wish.protocol, wish.port) for wish in found}
        for name in exposed:
            port, protocol = parse_port(name)
            if (protocol, port) not in named:
                found.append(Wish(protocol, port, _hosts("", default_host, dual)))
    return sorted(found, key=lambda wish: (wish.first == 0, wish.first != wish.last, wish.port, wish.protocol))


def _range(text: str) -> tuple[int, int]:
    """Docker's `HostPort`: empty, one port, or `first-last`."""
    if text in ("", "0"):
        return 0, 0
    begin, separator, end = text.partition("-")
    first = _port(begin, text)
    last = _port(end, text) if separator else first
    if last < first:
        raise InvalidArgument(f"invalid port specification: {text!r}")
    return first, last


def _hosts(text: str, default: Address, dual: bool) -> tuple[Address, ...]:
    if text:
        try:
            return (ipaddress.ip_address(text.strip("[]")),)
        except ValueError:
            raise InvalidArgument(f"invalid host IP address: {text!r}") from None
    return (default, ANY6) if dual and default == ANY4 else (default,)


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
        binding = PortBinding(host_ip=str(forward.host), host_port=str(forward.host_port))
        ports[name] = (*(ports.get(name) or ()), binding)
    return dict(sorted(ports.items()))
