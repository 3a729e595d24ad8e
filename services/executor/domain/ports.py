"""Changing which ports a container publishes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from shared.contracts.container import HostConfig, PortBinding
from shared.errors import Conflict, NotFound

from .sandbox import with_protocol

Bindings = Mapping[str, tuple[PortBinding, ...]]
Shown = Mapping[str, tuple[PortBinding, ...] | None]
_ANY = ("", "0.0.0.0", "::")


@dataclass(frozen=True)
class Change:
    """The configuration from now on, and the published ports that are to be given up for it."""

    host_config: HostConfig
    released: dict[str, tuple[PortBinding, ...]]


def check_mode(network_mode: str) -> None:
    """Refuses containers that have no ports of their own to publish."""
    if network_mode in ("host", "none") or network_mode.startswith("container:"):
        kind = network_mode.partition(":")[0]
        raise Conflict(f"conflicting options: port publishing and the {kind} type network mode")


def change(asked: HostConfig, exposed: Iterable[str], shown: Shown, add: Bindings, remove: Bindings) -> Change:
    """First what is removed, then what is added; adding what is there changes nothing.

    `shown` are the ports as published now: they tell which binding without a fixed host port has which. A container
    that publishes all exposed ports (`-P`) has them named from then on. Raises `NotFound` for what is not published.
    """
    wishes = {with_protocol(port): list(bindings) for port, bindings in asked.port_bindings.items()}
    if asked.publish_all_ports:
        for port in map(with_protocol, exposed):
            wishes.setdefault(port, [PortBinding()])
    released: dict[str, tuple[PortBinding, ...]] = {}
    for port, bindings in _normal(remove).items():
        live = tuple(shown.get(port) or ())
        if port not in wishes:
            raise NotFound(f"port {port} is not published")
        gone = [_take(wishes[port], binding, live, port) for binding in bindings] if bindings else [live]
        released[port] = tuple(binding for each in gone for binding in each)
        if not bindings or not wishes[port]:
            del wishes[port]
    for port, bindings in _normal(add).items():
        present = wishes.setdefault(port, [])
        present += [b for b in bindings or (PortBinding(),) if not b.host_port or b not in present]
    changed = msgspec.structs.replace(
        asked, port_bindings={port: tuple(each) for port, each in wishes.items()}, publish_all_ports=False
    )
    return Change(changed, released)


def _normal(bindings: Bindings) -> Bindings:
    return {with_protocol(port): each for port, each in bindings.items()}


def _take(
    wishes: list[PortBinding], binding: PortBinding, live: tuple[PortBinding, ...], port: str
) -> tuple[PortBinding, ...]:
    """Takes the wish out that a binding means; the published ports that it has."""
    number = binding.host_port
    at = [each for each in live if each.host_port == number and _same(each.host_ip, binding.host_ip)]
    for wish in wishes:
        if wish.host_port == number and _same(wish.host_ip, binding.host_ip):
            wishes.remove(wish)
            return tuple(each for each in at if _same(each.host_ip, wish.host_ip))
    for wish in wishes:
        mine = tuple(each for each in at if _same(each.host_ip, wish.host_ip))
        if mine and _holds(wish.host_port, number):
            wishes.remove(wish)
            return mine
    where = f"{binding.host_ip or '0.0.0.0'}:{number}" if number else binding.host_ip or "any port"
    raise NotFound(f"port {port} is not published at {where}")


def _same(one: str, other: str) -> bool:
    """Whether two host addresses mean the same; none is any, and any is all."""
    return not one or not other or one == other or (one in _ANY and other in _ANY)


def _holds(wish: str, number: str) -> bool:
    """Whether a host port as it was wished for (none, or a range) may have come to be this one."""
    first, dash, last = wish.partition("-")
    if not wish or wish == "0":
        return True
    return bool(dash) and int(first) <= int(number) <= int(last)
