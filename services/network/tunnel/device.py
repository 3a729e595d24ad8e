"""The kernel's side of the tunnel: a TAP device (Documentation/networking/tuntap) and a UDP socket, segments and all.

Frames and not bare packets: the kernel takes unsegmented packets of a tunnel only with an Ethernet header before them.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct

TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x2, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_USO4, TUN_F_USO6 = 0x1, 0x2, 0x4, 0x20, 0x40
TUN_F_UDP_TUNNEL_GSO, TUN_F_UDP_TUNNEL_GSO_CSUM = 0x80, 0x100
VNET_HEADER, ETHERNET = 24, 14
"""struct virtio_net_hdr_v1_hash_tunnel of <linux/virtio_net.h> (kernels without tunnel offload leave its end zero), and
the frame's own header."""
OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6
TUNNEL_OFFLOADS = OFFLOADS | TUN_F_UDP_TUNNEL_GSO | TUN_F_UDP_TUNNEL_GSO_CSUM
LONGEST = VNET_HEADER + (1 << 16) + 256
"""Bytes of what one read or write of the device carries."""
SOL_UDP, UDP_SEGMENT, UDP_GRO = 17, 103, 104
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DONT = 10, 23, 0
SOCKET_BYTES = 8 << 20
_INT = struct.Struct("=i")
_SHORT = struct.Struct("=H")


def open_tap(name: str) -> int:
    """A descriptor of a new TAP device in this network namespace; the device is gone with the descriptor."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("=16sH22x", name.encode(), flags))
        fcntl.ioctl(descriptor, TUNSETVNETHDRSZ, _INT.pack(VNET_HEADER))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def offload(descriptor: int, *, tunnelled: bool) -> bool:
    """Lets the kernel hand over what it has not segmented or summed yet; `tunnelled`: also what is inside VXLAN.

    Whether it does so inside VXLAN (Linux 6.17); else packets come one by one.
    """
    if tunnelled:
        try:
            fcntl.ioctl(descriptor, TUNSETOFFLOAD, TUNNEL_OFFLOADS)
        except OSError:
            tunnelled = False
    if not tunnelled:
        fcntl.ioctl(descriptor, TUNSETOFFLOAD, 0)
    return tunnelled


def open_udp(address: str, port: int) -> socket.socket:
    """A socket that takes bursts whole (UDP_GRO). Raises `OSError`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        _enlarge(made, SO_SNDBUFFORCE, socket.SO_SNDBUF)
        _enlarge(made, SO_RCVBUFFORCE, socket.SO_RCVBUF)
        made.setsockopt(SOL_UDP, UDP_GRO, 1)
        if family == socket.AF_INET:  # as VXLAN's own packets: a narrower link on the way may fragment them
            made.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DONT)
        else:
            made.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DONT)
        made.bind((address, port))
    except OSError:
        made.close()
        raise
    return made


def _enlarge(made: socket.socket, force: int, option: int) -> None:
    try:
        made.setsockopt(socket.SOL_SOCKET, force, SOCKET_BYTES)
    except PermissionError:  # without CAP_NET_ADMIN: as much as everybody may have
        made.setsockopt(socket.SOL_SOCKET, option, SOCKET_BYTES)


def segments(size: int) -> list[tuple[int, int, bytes]]:
    """The control message that has the kernel cut a burst into datagrams of so many bytes."""
    return [(SOL_UDP, UDP_SEGMENT, _SHORT.pack(size))]


def segment_size(control: list[tuple[int, int, bytes]], received: int) -> int:
    """The length of each datagram but the last in what was received."""
    for level, kind, data in control:
        if level == SOL_UDP and kind == UDP_GRO:
            return _INT.unpack_from(data)[0] if len(data) >= 4 else received
    return received
