"""Host ports of published ports: held by bound sockets, so that no other program on the host can take them.

The kernel forwards by the firewall's maps and never asks these sockets. What it cannot forward (IPv6 to a container
that has only IPv4, and clients at ::1) arrives at them and is relayed by a process of its own (`proxy`), as dockerd's
docker-proxy does it.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import zlib
from collections.abc import Callable, Iterable

from shared.errors import Conflict, InvalidArgument, ResourceExhausted

from ..domain.addresses import Address
from ..domain.publishing import ANY6, Forward, Wish, candidates, collides, made
from .proxy import Proxy
from .sysctl import ephemeral_range

log = logging.getLogger(__name__)
Key = tuple[str, Address, int]
_BACKLOG = 128


class _Allocated(Conflict):
    """A port that somebody has."""


class HostPorts:
    """Ports taken on the host's addresses. Belongs to one event loop; nothing here waits.

    `place`: hosts that differ in it look for free ports at different places: what one chooses is mostly free elsewhere.
    """

    def __init__(
        self, proxy: Proxy, ephemeral: Callable[[], tuple[int, int]] = ephemeral_range, place: str = ""
    ) -> None:
        self._proxy = proxy
        self._ephemeral = ephemeral
        self._place = zlib.crc32(place.encode())
        self.avoid: Callable[[str, int], bool] = lambda protocol, port: False
        """Says of ports that are free here that they are not to be chosen; who asks for one by its number gets it."""
        self.give_way: Callable[[str, int], bool] = lambda protocol, port: False
        """Lets go of a port that is held on this host only to keep others from it; whether it was."""
        self._sockets: dict[Key, socket.socket | None] = {}
        self._last: dict[str, int] = {}

    def reserve(self, wish: Wish) -> list[Forward]:
        """Takes the wish's port at all its places, the same one at each. Raises `Conflict` in dockerd's words."""
        if wish.direct:
            return made(wish, 0)
        failure: Conflict | InvalidArgument | None = None
        for port in candidates(wish, self._ephemeral(), self._last.get(wish.protocol) or self._first()):
            if wish.chosen and self.avoid(wish.protocol, port):
                failure = failure or _allocated(wish.places[0].host, port)
                continue
            try:
                taken = self._take_all(wish, port)
            except (Conflict, InvalidArgument) as error:
                if failure is None or isinstance(failure, _Allocated):
                    failure = error
                continue
            if not wish.first:
                self._last[wish.protocol] = port
            return taken
        if failure is not None and wish.first and not (wish.chosen and isinstance(failure, _Allocated)):
            raise failure
        raise ResourceExhausted("all ports are allocated")

    def _first(self) -> int:
        """The port after which the first free one is looked for; 0: at the begin."""
        begin, end = self._ephemeral()
        return begin + self._place % (end - begin) if self._place else 0

    def _take_all(self, wish: Wish, port: int) -> list[Forward]:
        taken: list[Forward] = []
        try:
            for forward in made(wish, port):
                if self._take(*forward.key, optional=len(taken) > 0 and forward.host == ANY6):
                    taken.append(forward)
        except BaseException:
            for forward in taken:
                self._drop(forward.key)
            raise
        return taken

    def _take(self, protocol: str, host: Address, port: int, *, optional: bool) -> bool:
        """Whether the port is taken; an `optional` address (`::` beside 0.0.0.0) that the host lacks is left out."""
        if collides(protocol, host, port, self._sockets):
            raise _allocated(host, port)
        try:
            self._sockets[protocol, host, port] = self._bound(protocol, host, port)
        except OSError as error:
            if optional and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                return False
            raise _refusal(protocol, host, port, error) from None
        return True

    def _bound(self, protocol: str, host: Address, port: int) -> socket.socket | None:
        try:
            return _bound(protocol, host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            gave, settled = self.give_way(protocol, port), self._proxy.settle()
            if not (gave or settled):
                raise
        return _bound(protocol, host, port)  # what held it was our own, given back a moment ago

    def adopt(self, forwards: Iterable[Forward]) -> None:
        """Takes ports again that were published before; where they lead is for `serve` to say.

        One that another program took meanwhile goes on by rules.
        """
        for forward in forwards:
            key = forward.key
            if not forward.host_port or key in self._sockets:
                continue
            try:
                kept = self._proxy.found(_name(key))
                self._sockets[key] = kept[0] if kept else self._bound(*key)
            except OSError as error:
                log.warning("port %s %s cannot be held any more: %s", forward.protocol, forward.host_port, error)
                self._sockets[key] = None

    def serve(self, forwards: Iterable[Forward]) -> None:
        """Relays what arrives at the sockets to where the ports lead; what is relayed there already goes on."""
        for forward in forwards:
            taken = self._sockets.get(forward.key)
            if taken is not None and forward.protocol in ("tcp", "udp"):
                target = (forward.protocol, str(forward.target), forward.target_port)
                self._proxy.hold(_name(forward.key), [taken], target)

    def release(self, forwards: Iterable[Forward]) -> None:
        """Gives ports back, at once; relayed connections end."""
        for forward in forwards:
            self._drop(forward.key)

    def close(self) -> None:
        """What is relayed goes on."""
        for held in self._sockets.values():
            if held is not None:
                held.close()
        self._sockets.clear()

    def _drop(self, key: Key) -> None:
        self._proxy.drop(_name(key))
        if (held := self._sockets.pop(key, None)) is not None:
            held.close()


def _name(key: Key) -> str:
    """What the proxy knows a port by."""
    return "port {} {} {}".format(*key)


def _bound(protocol: str, host: Address, port: int) -> socket.socket | None:
    """A socket that holds the port; for SCTP only where the host has it."""
    family = socket.AF_INET if host.version == 4 else socket.AF_INET6
    kind, number = {
        "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
        "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
        "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
    }[protocol]
    try:
        made = socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, number)
    except OSError as error:
        if protocol == "sctp" and error.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
            return None
        raise
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol != "udp":  # as Go's net.Listen; a listening socket still excludes all others
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((str(host), port))
        if protocol != "udp":
            made.listen(_BACKLOG)
    except BaseException:
        with contextlib.suppress(OSError):
            made.close()
        raise
    return made


def _allocated(host: Address, port: int) -> Conflict:
    return _Allocated(f"Bind for {_joined(host, port)} failed: port is already allocated")


def _refusal(protocol: str, host: Address, port: int, error: OSError) -> Conflict | InvalidArgument:
    where = f"listen {protocol}{host.version} {_joined(host, port)}"
    text = os.strerror(error.errno or 0)
    text = f"Error starting userland proxy: {where}: bind: {text[:1].lower()}{text[1:]}"
    return Conflict(text) if error.errno == errno.EADDRINUSE else InvalidArgument(text)


def _joined(host: Address, port: int) -> str:
    return f"{host}:{port}" if host.version == 4 else f"[{host}]:{port}"
