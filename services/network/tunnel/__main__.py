"""`python -m services.network.tunnel NAME ADDRESS PORT CARRIED MTU LISTENER CONNECTION`.

The device's name, this host's address, the tunnel's UDP port, the port whose packets are carried, the MTU between
hosts, and descriptors of its own listening socket and of the first service's connection.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import sys

from ..proxy.poller import READ, Poller
from . import device, messages
from .keeper import Keeper
from .messages import Message
from .relay import Relay


def main() -> None:
    """Runs until there are neither keys nor a service."""
    name, address = sys.argv[1:3]
    port, carried, mtu, *descriptors = map(int, sys.argv[3:8])
    listener, first = (socket.socket(fileno=number) for number in descriptors)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for whoever runs the service on a terminal
    os.chdir("/")
    try:
        tap, udp = device.open_tap(name), device.open_udp(address, port)
    except OSError as error:
        first.send(Message(messages.FAILED, text=f"{name}: {error.strerror}").encode())
        raise SystemExit(1) from None
    whole = device.offload(tap, tunnelled=True)
    relay = Relay(tap, udp, ipaddress.ip_address(address).packed, carried)
    poller = Poller()
    keeper = Keeper(poller, relay, listener, first, Message(messages.READY, peer=address, whole=whole), port)
    keeper.use_mtu(mtu)
    poller.watch(tap, READ, lambda _: relay.from_device())
    poller.watch(udp.fileno(), READ, lambda _: relay.from_peers())
    poller.run()


if __name__ == "__main__":
    main()
