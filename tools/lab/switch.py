"""The switch of a lab: a bridge in a network namespace of its own, and lines to the hosts that can be cut.

Spoken by ip(8) in one batch for each namespace: a lab is made once, and every system that has labs has it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from shared.errors import FailedPrecondition

from . import plan

BRIDGE = "switch"
UPLINK = "eth0"
"""A host's end of its line."""


def make(network: str) -> None:
    """Makes the bridge in an empty network namespace, given as a path."""
    _ip(network, [f"link add {BRIDGE} type bridge", f"link set {BRIDGE} up"])


def plug_in(switch: str, number: int, host: str, host_pid: int) -> None:
    """Joins a host to the switch, with its address; `switch` and `host` are network namespaces."""
    port = f"port{number}"
    peer = f"peer name {UPLINK} address {plan.mac(number)} netns {host_pid}"
    _ip(switch, [f"link add {port} type veth {peer}", f"link set {port} master {BRIDGE} up"])
    address = f"addr add {plan.address(number)}/24 dev {UPLINK}"
    _ip(host, ["link set lo up", f"link set {UPLINK} up", address])


def unplug(switch: str, number: int) -> None:
    """Takes a host's line away: the kernel would keep a dead host's network for a while, and answer for it."""
    _ip(switch, [f"link del port{number}"])


def cut(host: str, other: int) -> None:
    """What this host sends to the other is lost without a sign, until it is mended."""
    _ip(host, [f"neigh replace {plan.address(other)} lladdr {plan.NOWHERE} dev {UPLINK} nud permanent"])


def mend(host: str, other: int) -> None:
    """Takes a cut back. A line that was not cut stays as it is."""
    _ip(host, [f"neigh replace {plan.address(other)} lladdr {plan.mac(other)} dev {UPLINK} nud stale"])


def _ip(network: str, lines: Sequence[str]) -> None:
    command = ["nsenter", f"--net={network}", "ip", "-batch", "-"]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FailedPrecondition(f"the lab's network cannot be made (package iproute2): {done.stderr.strip()}")
