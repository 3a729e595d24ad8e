"""What passes between the hosts of a lab, and who carries it."""

from __future__ import annotations

import os
import select
import socket
from pathlib import Path

from services.network.adapters import namespaces, xfrm
from services.network.adapters.netlink import Netlink
from tools.lab.host import Host

_SO_RCVBUFFORCE = 33
_ROOM = 64 << 20


class Line:
    """The frames at a host's line from now on."""

    def __init__(self, host: Host) -> None:
        def listen() -> socket.socket:
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
            made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)  # what does not fit would be lost unseen
            return made

        self._socket = namespaces.inside(Path(host.network), listen)

    def heard(self) -> bytes:
        """All of them until now, one after the other."""
        found = b""
        while select.select((self._socket,), (), (), 0.2)[0]:
            data, address = self._socket.recvfrom(1 << 17)
            found += data if address[0] == "eth0" else b""
        return found


def seals(host: Host) -> bool:
    """Whether anything of encrypted networks is on a host: their tunnel, or keys in a kernel that has ESP."""
    return bool(tunnel_of(host)) or namespaces.inside(Path(host.network), _has_keys)


def _has_keys() -> bool:
    try:
        netlink = Netlink(xfrm.NETLINK_XFRM)
    except OSError:  # a kernel without IPsec
        return False
    try:
        return any(True for _ in netlink.dump(xfrm.all_associations()))
    finally:
        netlink.close()


def tunnel_of(host: Host) -> int:
    """The process of a host's encrypted tunnel, as the machine numbers it; 0: there is none, as where ESP does it."""
    found = [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _is_tunnel(folder, host.network)]
    return found[0] if found else 0


def _is_tunnel(folder: Path, network: str) -> bool:
    try:
        ours = os.stat(folder / "ns/net").st_ino == os.stat(network).st_ino
        return ours and b"services.network.tunnel" in (folder / "cmdline").read_bytes()
    except OSError:
        return False
