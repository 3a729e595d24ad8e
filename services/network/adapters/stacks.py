"""Network stacks of sandboxes: made ahead, set up in one conversation with the kernel, taken away in its time."""

from __future__ import annotations

import collections
import contextlib
import errno
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared import ids, telemetry

from ..domain.endpoints import Attachment, Plan
from ..domain.naming import namespace_file, veth
from . import namespaces, rtnetlink, sysctl
from .links import HostLinks
from .namespaces import Namespace
from .rtnetlink import Message

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

    def set_up(self, plans: Sequence[Plan]) -> str:
        """A stack with these interfaces, joinable by its path; id of the new sandbox. All or nothing."""
        begun = bool(plans) and plans[0].wire.kind == "veth" and plans[0].slot == 0
        with telemetry.span("network.stack", interfaces=len(plans), ready=len(self._ready)):
            while begun and self._ready:
                with contextlib.suppress(IndexError):  # another thread took the last one
                    stack = self._ready.popleft()
                    try:
                        return self._finish(stack, plans)
                    except OSError as error:
                        if error.errno != errno.ENODEV:
                            raise
                        log.warning("a stack made ahead was broken by somebody: %s", error)
            return self._finish(self._make() if begun else self._bare(), plans)

    def _finish(self, stack: Stack, plans: Sequence[Plan]) -> str:
        try:
            stack.namespace.pin(self.path(stack.sandbox_id))
            for plan in plans:
                self._wire(stack, plan)
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

    def _wire(self, stack: Stack, plan: Plan) -> None:
        """One interface; the one that was made ahead when it is the first."""
        if stack.port and plan.slot == 0:
            if plan.attached:
                self._attach(stack.port, plan)
            _set_up(stack.namespace, plan, "eth0")
        else:
            self._add(stack.sandbox_id, stack.namespace, plan)

    def _add(self, sandbox_id: str, namespace: Namespace, plan: Plan) -> None:
        if plan.wire.kind == "veth":
            name = veth(self._prefix, sandbox_id, plan.slot)
            port = self._links.add_veth(name, plan.name, namespace.descriptor, plan.mtu)
            if plan.attached:
                self._attach(port, plan)
        else:
            mtu = plan.mtu if plan.mtu != DEFAULT_MTU else 0
            self._links.add_stacked(plan.wire, plan.name, namespace.descriptor, plan.mac, mtu)
        _set_up(namespace, plan, plan.name)

    def _attach(self, port: int, plan: Plan) -> None:
        mtu = plan.mtu if plan.mtu != DEFAULT_MTU else 0
        self._links.attach(port, plan.wire.master, mtu, isolated=plan.wire.isolated)

    def attach(self, sandbox_id: str, plans: Iterable[Plan]) -> None:
        """The interfaces' ends here are ports of their bridges, whether or not they were."""
        for plan in plans:
            if plan.wire.kind == "veth":
                self._attach(self._links.index(veth(self._prefix, sandbox_id, plan.slot)), plan)

    def detach(self, sandbox_id: str, entries: Iterable[Attachment]) -> None:
        """The interfaces' ends here are ports of no bridge: no frame passes them."""
        for entry in entries:
            if entry.kind == "veth":
                self._links.detach(veth(self._prefix, sandbox_id, entry.slot))

    def add(self, sandbox_id: str, plan: Plan) -> None:
        """One interface more for a stack that is in use. Nothing stays of a failure."""
        with self._entered(sandbox_id) as namespace:
            try:
                self._add(sandbox_id, namespace, plan)
            except BaseException:
                with contextlib.suppress(OSError):
                    namespace.netlink.request(rtnetlink.delete_link(name=plan.name))
                raise

    def remove(self, sandbox_id: str, entry: Attachment) -> None:
        """Takes an interface from a stack that is in use; gone when this returns."""
        if entry.kind == "veth":
            self._links.remove(veth(self._prefix, sandbox_id, entry.slot))
            return
        with self._entered(sandbox_id) as namespace:
            _delete(namespace, entry.interface)

    @contextlib.contextmanager
    def _entered(self, sandbox_id: str) -> Iterator[Namespace]:
        namespace = namespaces.enter(self.path(sandbox_id))
        try:
            yield namespace
        finally:
            namespace.close()

    def route(self, sandbox_id: str, plans: Sequence[Plan]) -> None:
        """The default routes are those of the plans, and no others."""
        with self._entered(sandbox_id) as namespace:
            routed: set[int] = set()
            for plan in plans:
                link = namespace.netlink.link(plan.name)
                if link is not None and (messages := _routes(plan, link.index)):
                    namespace.netlink.request(*messages)
                    routed |= {hop.version for hop in plan.gateways} | set(plan.link_routes)
            for version in {4, 6} - routed:
                with contextlib.suppress(OSError):  # there was none
                    namespace.netlink.request(rtnetlink.delete_default_route(version))

    def tear_down(self, sandbox_id: str, entries: Iterable[Attachment]) -> None:
        """Cuts the stack off the host at once and lets go of its namespace; the kernel frees both when it can."""
        with telemetry.span("network.cut_off"):
            for entry in entries:
                if entry.kind == "veth":
                    self._links.cut_off(veth(self._prefix, sandbox_id, entry.slot))
                else:  # nothing of it can be reached from outside but through its namespace
                    with contextlib.suppress(OSError), self._entered(sandbox_id) as namespace:
                        _delete(namespace, entry.interface)
            namespaces.unpin(self.path(sandbox_id))

    def remove_file(self, name: str) -> None:
        """Lets go of a namespace that no sandbox has."""
        namespaces.unpin(self._folder / name)

    def sweep(self) -> None:
        """Frees what others still hold: interfaces of sandboxes that are gone. Slow."""
        with contextlib.suppress(OSError):
            self._links.delete_dying()


def _set_up(namespace: Namespace, plan: Plan, name: str) -> None:
    """Address, MAC, up and default routes in one request; before it, switches of the kernel where there are any."""
    link = namespace.netlink.link(name)
    index = link.index if link else 0
    if plan.name != name:
        namespace.netlink.request(rtnetlink.set_link(index, rename=plan.name))
    if plan.ipv6 or plan.sysctls:
        namespace.run(lambda: _switch(plan))
    mac = plan.mac if plan.wire.kind == "veth" else ""
    namespace.netlink.request(
        rtnetlink.set_link(index, up=True, mac=mac, mtu=plan.mtu if plan.wire.kind == "veth" else 0),
        *(rtnetlink.new_address(index, address) for address in plan.addresses),
        *_routes(plan, index),
    )


def _switch(plan: Plan) -> None:
    if plan.ipv6:
        sysctl.write(f"ipv6/conf/{plan.name}/disable_ipv6", "0")
        if plan.wire.kind == "veth":  # no neighbour may call itself a router
            sysctl.write(f"ipv6/conf/{plan.name}/accept_ra", "0")
    for path, value in plan.sysctls:
        sysctl.write(path, value, there=True)


def _routes(plan: Plan, index: int) -> list[Message]:
    through = [rtnetlink.default_route(gateway, index) for gateway in plan.gateways]
    return through + [rtnetlink.link_route(version, index) for version in plan.link_routes]


def _delete(namespace: Namespace, interface: str) -> None:
    try:
        namespace.netlink.request(rtnetlink.delete_link(name=interface))
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
