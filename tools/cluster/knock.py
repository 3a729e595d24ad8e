"""How a newcomer asks a hub to be let in; see `services.scheduler.adapters.door`."""

from __future__ import annotations

import socket
import ssl

import msgspec

from shared import pki
from shared.clock import now_ns
from shared.cluster import Place
from shared.contracts.scheduler import JoinReply, JoinRequest
from shared.errors import PermissionDenied, Unauthenticated, Unavailable
from shared.joining import Token

SECONDS = 15.0
MOST_BYTES = 64 << 10


def knock(place: Place, token: Token, request: JoinRequest) -> JoinReply:
    """The hub's answer. Nothing is told to a host that is not of the cluster that the token names.

    Raises `Unavailable` where nobody answers, `Unauthenticated` where it is somebody else, `PermissionDenied` when the
    hub refuses.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # checked below, against what the token pins
    try:
        with (
            socket.create_connection((place.host.strip("[]"), place.port), SECONDS) as plain,
            context.wrap_socket(plain) as secured,
            secured.makefile("rb") as lines,
        ):
            authority = msgspec.json.decode(lines.readline(MOST_BYTES), type=str).encode()
            _check(place, token, authority, secured.getpeercert(binary_form=True) or b"")
            secured.sendall(msgspec.json.encode(request) + b"\n")
            reply = msgspec.json.decode(lines.readline(MOST_BYTES), type=JoinReply)
    except (OSError, msgspec.DecodeError) as error:
        raise Unavailable(f"{place} does not let hosts join: {error}; is it a hub, and its engine up?") from None
    if reply.error:
        raise PermissionDenied(f"{place} refuses: {reply.error}")
    return reply


def _check(place: Place, token: Token, authority: bytes, certificate: bytes) -> None:
    try:
        named = pki.fingerprint(authority)
    except ValueError:
        named = ""
    if named != token.authority:
        raise Unauthenticated(f"{place} is not of the cluster that the token was made in")
    pki.check_issued(certificate, authority, now_ns())
