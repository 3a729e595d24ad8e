"""The kernel's switches below /proc/sys/net, in the network namespace of the calling thread."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/proc/sys/net")


def write(path: str, value: str, *, there: bool = False) -> None:
    """Sets a switch. One that the kernel does not have (a host without IPv6) is none to be set, unless it has to be
    `there`. Raises `OSError`.
    """
    try:
        (ROOT / path).write_text(value)
    except FileNotFoundError:
        if there:
            raise


def read(path: str) -> str:
    """A switch without the line's end; empty where the kernel does not have it."""
    try:
        return (ROOT / path).read_text().strip()
    except FileNotFoundError:
        return ""


def configure_bridge(name: str, *, ipv6: bool) -> None:
    """As dockerd: no router is believed, no IPv6 address made up; published ports also answer on 127.0.0.1."""
    write(f"ipv4/conf/{name}/route_localnet", "1")
    write(f"ipv6/conf/{name}/accept_ra", "0")
    write(f"ipv6/conf/{name}/disable_ipv6", "0" if ipv6 else "1")


def enable_forwarding(*, ipv6: bool = False) -> None:
    """The host routes between containers and others, as dockerd makes it; on already: nothing is written.

    A host that forwards IPv6 no longer listens to routers of its own: what it learnt from them would expire. So
    interfaces that did listen go on (`accept_ra` 2), which dockerd leaves to the administrator.
    """
    if read("ipv4/ip_forward") != "1":
        write("ipv4/ip_forward", "1")
    if not ipv6 or read("ipv6/conf/all/forwarding") == "1":
        return
    for folder in (ROOT / "ipv6/conf").iterdir():
        if folder.name not in ("all", "default") and read(f"ipv6/conf/{folder.name}/accept_ra") == "1":
            write(f"ipv6/conf/{folder.name}/accept_ra", "2")
    write("ipv6/conf/all/forwarding", "1")


def ephemeral_range() -> tuple[int, int]:
    """First and last port that the host gives out by itself."""
    first, last = read("ipv4/ip_local_port_range").split()
    return int(first), int(last)


def has_ipv6() -> bool:
    """Whether the host has IPv6 and has not switched it off."""
    return read("ipv6/conf/all/disable_ipv6") == "0"
