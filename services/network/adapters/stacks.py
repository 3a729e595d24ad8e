"""Network stacks of sandboxes: made ahead, set up in one conversation with the kernel, taken away in its time."""

from __future__ import annotations

import collections
import contextlib
import errno
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared import ids, telemetry

from ..domain.naming import index_of, namespace_file, veth
from ..domain.sandboxes import Interface
from . import namespaces, rtnetlink
from .links import HostLinks
from .namespaces import Namespace

log = logging.getLogger(__name__)
DEFAULT_MTU = 1500


@dataclass
class Stack:
    """A namespace with one unconfigured interface `eth0`, whose other end is `port` on the host."""

    sandbox_id: str
    namespace: Namespace
    port: int

    def close(self) -> None:
        self.namespace.close()


class Stacks:
    """All stacks of this engine. Methods wait for the kernel: call them in a thread."""

    def __init__(self, links: HostLinks, folder: Path, prefix: str) -> None:
        self._links = links
        self._folder = folder
        self._prefix = prefix
        self._ready: collections.deque[Stack] = collections.deque()

    def open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o710)

    def close(self) -> None:
        while self._ready:
            self._ready.pop().close()

    @property
    def ready(self) -> int:
        """How many stacks are made ahead."""
        return len(self._ready)

    def prepare(self) -> None:
        """Makes one stack ahead."""
        self._ready.append(self._make())

    def path(self, sandbox_id: str) -> Path:
        """The file to join a sandbox's namespace by."""
        return self._folder / namespace_file(sandbox_id)

    def pinned(self) -> tuple[frozenset[str], frozenset[str]]:
        """Names of all files that pin a namespace, and of those that still do."""
        files = list(self._folder.iterdir())
        return frozenset(file.name for file in files), frozenset(
            file.name for file in files if namespaces.is_pinned(file)
        )

    def set_up(self, interfaces: Sequence[Interface]) -> str:
        """A stack with these interfaces, joinable by its path; id of the new sandbox. All or nothing."""
        with telemetry.span("network.stack", interfaces=len(interfaces), ready=len(self._ready)):
            while interfaces and self._ready:
                with contextlib.suppress(IndexError):  # another thread took the last one
                    stack = self._ready.popleft()
                    try:
                        return self._finish(stack, interfaces)
                    except OSError as error:
                        if error.errno != errno.ENODEV:
                            raise
                        log.warning("a stack made ahead was broken by somebody: %s", error)
            return self._finish(self._make() if interfaces else self._bare(), interfaces)

    def _finish(self, stack: Stack, interfaces: Sequence[Interface]) -> str:
        try:
            stack.namespace.pin(self.path(stack.sandbox_id))
            self._configure(stack, interfaces)
        except BaseException:
            namespaces.unpin(self.path(stack.sandbox_id))
            raise
        finally:
            stack.close()
        return stack.sandbox_id

    def _bare(self) -> Stack:
        return Stack(ids.new_id(), namespaces.create(), 0)

    def _make(self) -> Stack:
        stack = self._bare()
        try:
            name = veth(self._prefix, stack.sandbox_id, 0)
            stack.port = self._links.add_veth(name, "eth0", stack.namespace.descriptor, DEFAULT_MTU)
        except BaseException:
            stack.close()
            raise
        return stack

    def _configure(self, stack: Stack, interfaces: Sequence[Interface]) -> None:
        for index, interface in enumerate(interfaces):
            port = stack.port
            if index:
                name = veth(self._prefix, stack.sandbox_id, index)
                port = self._links.add_veth(name, interface.name, stack.namespace.descriptor, interface.mtu)
            self._links.attach(port, interface.bridge, interface.mtu if interface.mtu != DEFAULT_MTU else 0)
            _address(stack.namespace, interface)

    def add(self, sandbox_id: str, interface: Interface) -> None:
        """One interface more for a stack that is in use. Nothing stays of a failure."""
        name = veth(self._prefix, sandbox_id, index_of(interface.name))
        namespace = namespaces.enter(self.path(sandbox_id))
        try:
            port = self._links.add_veth(name, interface.name, namespace.descriptor, interface.mtu)
            self._links.attach(port, interface.bridge)
            _address(namespace, interface)
        except BaseException:
            self._links.remove(name)
            raise
        finally:
            namespace.close()

    def remove(self, sandbox_id: str, interface: str) -> None:
        """Takes an interface from a stack that is in use; gone when this returns."""
        self._links.remove(veth(self._prefix, sandbox_id, index_of(interface)))

    def route(self, sandbox_id: str, interface: Interface) -> None:
        """Makes the interface's gateway that of the stack."""
        namespace = namespaces.enter(self.path(sandbox_id))
        try:
            link = namespace.netlink.link(interface.name)
            if link is not None and interface.route is not None:
                namespace.netlink.request(rtnetlink.default_route(interface.route, link.index))
        finally:
            namespace.close()

    def tear_down(self, sandbox_id: str, interfaces: Iterable[str]) -> None:
        """Cuts the stack off the host at once and lets go of its namespace; the kernel frees both when it can."""
        with telemetry.span("network.cut_off"):
            for interface in interfaces:
                self._links.cut_off(veth(self._prefix, sandbox_id, index_of(interface)))
            namespaces.unpin(self.path(sandbox_id))

    def remove_file(self, name: str) -> None:
        """Lets go of a namespace that no sandbox has."""
        namespaces.unpin(self._folder / name)

    def sweep(self) -> None:
        """Frees what others still hold: interfaces of sandboxes that are gone. Slow."""
        with contextlib.suppress(OSError):
            self._links.delete_dying()


def _address(namespace: Namespace, interface: Interface) -> None:
    """Address, MAC, up and default route in one request."""
    link = namespace.netlink.link(interface.name)
    index = link.index if link else 0
    messages = [
        rtnetlink.set_link(index, up=True, mac=interface.mac, mtu=interface.mtu),
        rtnetlink.new_address(index, interface.address),
    ]
    if interface.route is not None:
        messages.append(rtnetlink.default_route(interface.route, index))
    namespace.netlink.request(*messages)
