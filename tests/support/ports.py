"""Ports for servers that tests start later."""

from __future__ import annotations

import random
import socket


def free_port(in_a_row: int = 1) -> int:
    """The first of so many loopback ports that nobody has, nor gets meanwhile for a connection that goes out."""
    while True:
        first = random.randrange(20_000, 32_000)
        if all(_free(first + more) for more in range(in_a_row)):
            return first


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
