"""Becoming part of a cluster: files first, then the engine is told."""

from __future__ import annotations

import errno
import os
import secrets
import socket
from collections.abc import Callable

from shared import cluster, ids, pki
from shared.clock import now_ns
from shared.cluster import Member, Membership, Place
from shared.config import Settings
from shared.contracts.scheduler import JoinRequest
from shared.errors import FailedPrecondition, InvalidArgument, Unavailable
from shared.joining import Token
from tools.shoal.processes import services_ready
from tools.shoal.up import explain
from tools.supervisor import keys, plan, records
from tools.supervisor.broker import LINK
from tools.supervisor.supervisor import NAME as SUPERVISOR
from tools.supervisor.watch import wait_until

from .founding import found
from .knock import knock

SECONDS = 120.0
"""As `shoal up` waits: here, too, the whole engine begins."""


def init(settings: Settings, place: Place) -> Membership:
    """Makes this host the first of a new cluster, found by others at `place`."""
    _refuse_member(settings)
    _check_place(place)
    name = secrets.token_hex(8)
    authority = pki.authority(name, now_ns())
    key = pki.new_key()
    node, host = ids.node_id(settings.state_path), place.host.strip("[]")
    files = cluster.folder(settings.state_path)
    cluster.write(files / "ca.key", authority.key)
    certificate = pki.issue(authority, pki.request(key), node, host, now_ns())
    made = Membership(cluster=name, address=str(place), hubs=(str(place),), hub=cluster.new_hub(node))
    found(settings, made)
    cluster.save_members(
        settings.state_path, [Member(id=node, link=_link(settings), pin=pki.pin(pki.request(key)), hub=True)]
    )
    _become(settings, made, certificate, key, authority.certificate)
    return made


def _link(settings: Settings) -> str:
    return keys.public_key(settings.state_path / "keys", LINK)


def join(settings: Settings, hub: Place, token: Token, place: Place) -> Membership:
    """Makes this host, found by others at `place`, a member of the cluster of `hub`."""
    _refuse_member(settings)
    _check_place(place)
    key = pki.new_key()
    request = JoinRequest(
        secret=token.secret,
        node=ids.node_id(settings.state_path),
        name=settings.node,
        address=str(place),
        request=pki.request(key).decode(),
        link=_link(settings),
    )
    reply = knock(hub, token, request)
    made = Membership(cluster=reply.cluster, address=str(place), hubs=reply.hubs)
    _become(settings, made, reply.certificate.encode(), key, reply.authority.encode())
    return made


def leave(settings: Settings, tell: Callable[[], object], force: bool) -> None:
    """Makes this host a host alone again; `tell` takes it out of the cluster. With `force` also when nobody is told."""
    if cluster.load(settings.state_path) is None:
        raise FailedPrecondition("this host is in no cluster")
    try:
        tell()
    except Unavailable:  # nobody is there, or the answer was lost with the broker, which begins anew
        if cluster.load(settings.state_path) is not None and not force:
            raise
    if force:
        cluster.forget(settings.state_path)
    _wait_for_engine(settings, lambda: _serves_alone(settings), "the engine does not serve alone yet")


def _refuse_member(settings: Settings) -> None:
    present = cluster.load(settings.state_path)
    if present is not None:
        raise FailedPrecondition(f"this host is in the cluster {present.cluster} already")
    if settings.nats_url:
        raise FailedPrecondition("this engine uses an external broker (nats_url): a cluster is made of embedded ones")


def _check_place(place: Place) -> None:
    """A hub listens there, and any host may be made one; one that could not would serve nothing."""
    host = place.host.strip("[]")
    for port in (place.port, place.links, place.routes):
        try:
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise FailedPrecondition(
                    f"port {port} of {host} is taken (three in a row are needed from {place.port} on); "
                    "choose others: --address HOST:PORT"
                ) from None
            raise InvalidArgument(
                f"{host} is no address of this host: {error.strerror}; --address is where the others reach it"
            ) from None


def _become(settings: Settings, made: Membership, certificate: bytes, key: bytes, authority: bytes) -> None:
    """The membership is written last: with it the host is a member."""
    files = cluster.folder(settings.state_path)
    for name, content in (("node.key", key), ("node.crt", certificate), ("ca.crt", authority)):
        cluster.write(files / name, content)
    cluster.save(settings.state_path, made)
    _wait_for_engine(settings, lambda: _serves(settings), "the engine does not serve in the cluster yet")


def _wait_for_engine(settings: Settings, holds: Callable[[], bool], else_says: str) -> None:
    """Returns when the engine, if it runs, has done what the files say; it watches them."""
    where = records.make_folder(settings)
    record = records.read(where, SUPERVISOR)
    supervisor = records.open_pidfd(record) if record else None
    if supervisor is None:
        return
    try:
        if not wait_until(where, holds, SECONDS, ends=[supervisor]):
            raise Unavailable(f"{else_says}\n{explain(settings)}")
    finally:
        os.close(supervisor)


def _serves(settings: Settings) -> bool:
    """Whether the engine serves, its scheduler too, which speaks with the hubs."""
    record = records.read(records.folder(settings), plan.SCHEDULER)
    return record is not None and record.ready and records.alive(record) and services_ready(settings)


def _serves_alone(settings: Settings) -> bool:
    return (
        cluster.load(settings.state_path) is None
        and records.read(records.folder(settings), plan.SCHEDULER) is None
        and services_ready(settings)
    )
