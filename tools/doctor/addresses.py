"""Checks of what engines and their neighbours on a host may both want: addresses, names, the socket."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from shared.config import Settings
from tools.supervisor import broker, plan, records

from .findings import Finding, ok, warning, wrong


def check(settings: Settings) -> Iterator[Finding]:
    """Clashes with others."""
    yield judge_bridge(settings.bridge_name, _kind(settings.bridge_name))
    if settings.bridge_subnet:
        routes = parse_routes(Path("/proc/net/route").read_text())
        yield judge_subnet(settings.bridge_subnet, settings.bridge_name, routes)
    if settings.nats_port and not settings.nats_url:
        yield judge_port(settings.nats_port, broker.accepts(settings.nats_port), _runs(settings, plan.BROKER))
    if settings.socket_path.exists():
        yield judge_socket(str(settings.socket_path), os.stat(settings.socket_path).st_mode)


def parse_routes(text: str) -> list[tuple[str, IPv4Network]]:
    """Interfaces and networks of /proc/net/route, whose numbers are hexadecimal in host order; no default route."""
    routes = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        address, mask = (bytes.fromhex(fields[column])[::-1] for column in (1, 7))
        length = int.from_bytes(mask).bit_count()
        if length:
            routes.append((fields[0], IPv4Network((address, length))))
    return routes


def judge_bridge(name: str, kind: str) -> Finding:
    """`kind` is bridge, another kind of interface, or empty when there is no interface of this name."""
    if kind in ("", "bridge"):
        return ok("bridge", f"{name} {'is there' if kind else 'will be made'}")
    return wrong("bridge", f"{name} is another kind of interface", "choose another bridge_name")


def judge_subnet(subnet: str, bridge: str, routes: list[tuple[str, IPv4Network]]) -> Finding:
    """Whether the bridge's own subnet is reached through another interface already."""
    wanted = IPv4Interface(subnet).network
    taken = [
        f"{network} ({interface})" for interface, network in routes if interface != bridge and wanted.overlaps(network)
    ]
    if taken:
        return wrong(
            "bridge subnet", f"{wanted} overlaps {', '.join(taken)}", "choose another bridge_subnet, or leave it empty"
        )
    return ok("bridge subnet", f"{wanted} is free")


def judge_port(port: int, taken: bool, by_us: bool) -> Finding:
    """The broker's port when it is set."""
    if taken and not by_us:
        return wrong("broker port", f"{port} is used by another process", "choose another nats_port, or 0")
    return ok("broker port", f"{port} {'serves' if taken else 'is free'}")


def judge_socket(path: str, mode: int) -> Finding:
    """Who may talk to the engine: whoever may, is root."""
    if not stat.S_ISSOCK(mode):
        return wrong("socket", f"{path} is no socket", "move it away, or choose another socket")
    if mode & 0o007:
        return warning("socket", f"{path} is open to everybody ({stat.filemode(mode)})", f"chmod o= {path}")
    return ok("socket", f"{path} {stat.filemode(mode)}")


def _kind(interface: str) -> str:
    folder = Path("/sys/class/net") / interface
    if not folder.exists():
        return ""
    return "bridge" if (folder / "bridge").exists() else "other"


def _runs(settings: Settings, name: str) -> bool:
    record = records.read(records.folder(settings), name)
    return record is not None and records.alive(record)
