"""Two hosts of one cluster, each with a platform service of its own, and a workload's move between them.

Both are in this process; what they start (monitors, criu, movers) are real processes, and the bytes go over TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from shared import cluster, hostmounts, ids, pki
from shared.clock import now_ns
from shared.config import Settings
from shared.contracts import migration_driver
from shared.contracts.common import Ref
from shared.contracts.platform import CreateRequest, Isolation
from shared.service import Kernel
from shared.testing import kernel
from tests.support.certified import certify
from tests.support.platform_host import Host, make_root, service_on


class Networks:
    """Network namespaces by files, as the network service makes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Path] = []

    def make(self, name: str) -> str:
        path = self._folder / name
        path.touch()
        subprocess.run(["unshare", f"--net={path}", "ip", "link", "set", "lo", "up"], check=True)
        self._made.append(path)
        return str(path)

    def close(self) -> None:
        for path in self._made:
            with contextlib.suppress(OSError):
                hostmounts.unmount(path)


class Pair:
    """Two hosts `a` and `b`; workloads go to and fro."""

    def __init__(self, a: Host, b: Host, networks: Networks) -> None:
        self.a, self.b, self.networks = a, b, networks

    async def started(self, *args: str, **fields: Any) -> CreateRequest:
        """A workload that runs on `a`, in a network namespace of its own."""
        isolation = Isolation(network=self.networks.make(f"a-{ids.new_token()}"), cgroup="private")
        request = self.a.request(*args, start=True, isolation=isolation, **fields)
        await self.a.service.create(request)
        return request

    def there(self, request: CreateRequest, host: Host) -> CreateRequest:
        """What `create` would get at that host."""
        made = host.request(*request.process.args, name=request.id)
        network = self.networks.make(f"{request.id[:8]}-{ids.new_token()}")
        isolation = msgspec.structs.replace(request.isolation, network=network)
        return msgspec.structs.replace(request, rootfs=made.rootfs, isolation=isolation, start=False)

    async def sent(
        self, request: CreateRequest, strategy: migration_driver.Strategy = "post-copy", source: Host | None = None,
        target: Host | None = None,
    ) -> None:  # fmt: skip
        """All before the freeze."""
        source, target = source or self.a, target or self.b
        arriving = migration_driver.ReceiveRequest(request=self.there(request, target), strategy=strategy, started_at=1)
        peer = await target.driver.receive(arriving)
        await source.driver.precopy(migration_driver.PrecopyRequest(id=request.id, peer=peer, strategy=strategy))

    async def held(self, request: CreateRequest, strategy: migration_driver.Strategy = "post-copy") -> None:
        """Up to the decision."""
        await self.sent(request, strategy)
        await self.a.driver.freeze(Ref(id=request.id))
        await self.a.driver.dump(Ref(id=request.id))
        await self.b.driver.restore(Ref(id=request.id))

    async def moved(
        self, request: CreateRequest, strategy: migration_driver.Strategy = "post-copy"
    ) -> migration_driver.ResumeReply:
        """From `a` to `b`, to the end."""
        await self.held(request, strategy)
        reply = await self.b.driver.resume(Ref(id=request.id))
        await self.a.driver.discard(Ref(id=request.id))
        await self.b.driver.settle(Ref(id=request.id))
        return reply


COUNT = ("sh", "-c", "trap 'exit 33' USR1; i=0; while :; do echo $i; i=$((i+1)); usleep 10000; done")
"""Writes numbers, one by one; ends with 33 when told by SIGUSR1."""


async def counted(host: Host, name: str) -> list[int]:
    """What it has written, three lines after now at the least."""
    await host.logged(name, len(await host.logs(name)) + 3)
    return [int(text) for _, text in await host.logs(name)]


async def leftovers(host: Host) -> list[str]:
    """What a host still has of workloads and moves."""
    run = Path(host.settings.run_dir, "platform")
    folders = [run / name for name in ("workloads", "roots", "moves", "runtime/crun")]
    found = [entry.name for folder in folders if folder.exists() for entry in folder.iterdir()]
    return [name for name in found if name != "criu" and not name.startswith(".")]


Kernels = Callable[[Path, Settings, str], AbstractAsyncContextManager[Kernel]]


def alone(base: Path, settings: Settings, node: str) -> AbstractAsyncContextManager[Kernel]:
    """A kernel of a host that speaks with nobody."""
    return kernel("platform", base, settings=settings, node=node)


@asynccontextmanager
async def _host(base: Path, authority: pki.Identity, kernels: Kernels) -> AsyncIterator[Host]:
    make_root(base / "root")
    settings = Settings(
        state_dir=str(base / "state"),
        run_dir=str(base / "run"),
        cgroup_parent=f"shoal-test-{base.parent.name}-{base.name}",
    )
    node = ids.node_id(settings.state_path)
    certify(cluster.folder(settings.state_path), node, authority)
    membership = cluster.Membership(cluster="c1", address="127.0.0.1:7377", hubs=())
    cluster.save(settings.state_path, membership)
    async with kernels(base, settings, node) as made, service_on(made, base) as host:
        try:
            yield host
        finally:
            await host.sweep()
            host.linux.cgroups.remove(f"/{settings.cgroup_parent}")
    for mounted in ("run/platform/moves", "run/platform/roots", "run", "state/volumes"):
        hostmounts.drop_shared(base / mounted)


@asynccontextmanager
async def moving_hosts(kernels: Kernels = alone) -> AsyncIterator[Pair]:
    """Two hosts below a temporary folder, swept at the end."""
    authority = pki.authority("c1", now_ns())
    with tempfile.TemporaryDirectory(prefix="shl-", dir="/tmp") as temporary:
        base = Path(temporary)
        networks = Networks(base)
        try:
            async with _host(base / "a", authority, kernels) as a, _host(base / "b", authority, kernels) as b:
                yield Pair(a, b, networks)
        finally:
            networks.close()


async def until_gone(pid: int) -> None:
    """Waits until a process has ended."""
    while Path(f"/proc/{pid}").exists():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.005)
