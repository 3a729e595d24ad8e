"""Messages of NETLINK_XFRM, encoded: security associations and policies of IPsec ESP in transport mode.

Only what this service asks for. Structures and constants are those of <linux/xfrm.h>.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass

from ..domain.addresses import Address
from .rtnetlink import NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, Message, attribute

NETLINK_XFRM = 6
XFRM_MSG_NEWSA, XFRM_MSG_DELSA, XFRM_MSG_GETSA, XFRM_MSG_DELPOLICY, XFRM_MSG_UPDPOLICY = 0x10, 0x11, 0x12, 0x14, 0x19
XFRM_MSG_EXPIRE = 0x18
XFRMA_TMPL, XFRMA_ALG_AEAD, XFRMA_REPLAY_ESN_VAL = 5, 18, 23
XFRM_STATE_ESN, XFRM_POLICY_OUT, XFRM_MODE_TRANSPORT = 128, 1, 0
XFRMNLGRP_EXPIRE = 1 << 1
"""The mask of bind(2) for the multicast group of associations that have sealed much."""
AEAD, ICV_BITS = b"rfc4106(gcm(aes))", 128
WINDOW = 4096
"""Packets that may arrive late: the most that the kernel takes (XFRMA_REPLAY_ESN_MAX)."""
_NEVER = (1 << 64) - 1
_INFO_BYTES = 224
_PAD = bytes(12)


@dataclass(frozen=True)
class Association:
    """One direction between two hosts as the kernel lists it; `used`: whether a packet has gone under it."""

    source: Address
    destination: Address
    spi: int
    reqid: int
    added: int
    used: bool


def _packed(address: Address) -> bytes:
    return address.packed + (_PAD if address.version == 4 else b"")


def _family(address: Address) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _selector(source: Address | None, destination: Address | None, port: int) -> bytes:
    """UDP packets to the port; without addresses: any packet (of a transport association)."""
    if source is None or destination is None:
        return bytes(56)
    ends = _packed(destination) + _packed(source)
    length = source.max_prefixlen
    ports = struct.pack(">HHHH", port, 0xFFFF, 0, 0)
    rest = struct.pack("=HBBB3xiI", _family(source), length, length, socket.IPPROTO_UDP, 0, 0)
    return ends + ports + rest


def _id(destination: Address, spi: int) -> bytes:
    return _packed(destination) + struct.pack(">IB3x", spi, socket.IPPROTO_ESP)


def _lifetime(soft_bytes: int) -> bytes:
    return struct.pack("=8Q", soft_bytes, _NEVER, _NEVER, _NEVER, 0, 0, 0, 0)


def new_association(
    source: Address, destination: Address, spi: int, material: bytes, reqid: int, soft_bytes: int
) -> Message:
    """AES-GCM (RFC 4106) with extended sequence numbers (RFC 4304); after so many bytes the kernel tells."""
    body = _selector(None, None, 0) + _id(destination, spi) + _packed(source) + _lifetime(soft_bytes) + bytes(32 + 12)
    body += struct.pack("=IIHBBB7x", 0, reqid, _family(source), XFRM_MODE_TRANSPORT, 0, XFRM_STATE_ESN)
    aead = AEAD.ljust(64, b"\0") + struct.pack("=II", len(material) * 8, ICV_BITS) + material
    words = WINDOW // 32
    esn = struct.pack("=6I", words, 0, 0, 0, 0, WINDOW) + bytes(4 * words)
    body += attribute(XFRMA_ALG_AEAD, aead) + attribute(XFRMA_REPLAY_ESN_VAL, esn)
    return Message(XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL, body)


def association_no_more(destination: Address, spi: int) -> Message:
    """Takes an association back."""
    body = _packed(destination) + struct.pack(">I", spi) + struct.pack("=HBx", _family(destination), socket.IPPROTO_ESP)
    return Message(XFRM_MSG_DELSA, 0, body)


def all_associations() -> Message:
    """Asks for all associations."""
    return Message(XFRM_MSG_GETSA, NLM_F_DUMP, b"")


def parse_association(body: bytes) -> Association:
    """Of the body of an XFRM_MSG_NEWSA answer, or the beginning of an XFRM_MSG_EXPIRE."""
    reqid, family = struct.unpack_from("=IH", body, 208)
    length = 4 if family == socket.AF_INET else 16
    spi = struct.unpack_from(">I", body, 72)[0]
    added, used = struct.unpack_from("=QQ", body, 176)
    destination, source = ipaddress.ip_address(body[56 : 56 + length]), ipaddress.ip_address(body[80 : 80 + length])
    return Association(source, destination, spi, reqid, added, used != 0)


def policy(source: Address, destination: Address, port: int, reqid: int) -> Message:
    """UDP packets to the port leave under an association of this `reqid`, or not at all."""
    body = _selector(source, destination, port) + _lifetime(_NEVER) + bytes(32)
    body += struct.pack("=IIBBBB4x", 0, 0, XFRM_POLICY_OUT, 0, 0, 0)
    template = _id(destination, 0) + struct.pack("=H2x", _family(source)) + _packed(source)
    template += struct.pack("=IBBBxIII", reqid, XFRM_MODE_TRANSPORT, 0, 0, *(3 * [0xFFFFFFFF]))
    return Message(XFRM_MSG_UPDPOLICY, 0, body + attribute(XFRMA_TMPL, template))


def policy_no_more(source: Address, destination: Address, port: int) -> Message:
    """Takes a policy back."""
    body = _selector(source, destination, port) + struct.pack("=IB3x", 0, XFRM_POLICY_OUT)
    return Message(XFRM_MSG_DELPOLICY, 0, body)
