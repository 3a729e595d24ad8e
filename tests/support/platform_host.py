"""A platform service on in-memory twins with real monitors and runtime; a root of Debian's busybox-static."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from services.platform.adapters.linux import Linux
from services.platform.driver import CriuDriver
from services.platform.service import PlatformService
from shared import hostmounts, ids
from shared.config import Settings
from shared.contracts import platform
from shared.contracts.base import Empty
from shared.contracts.common import Mount, Ref
from shared.contracts.executor import AttachRequest, LogsRequest
from shared.contracts.platform import CreateRequest, Process
from shared.service import Kernel
from shared.streams import Channel
from shared.streams.frames import Deframer
from shared.testing import kernel

BUSYBOX = Path("/usr/bin/busybox")
APPLETS = "sh cat true false sleep echo yes head dd id stty tty env ps ls grep seq md5sum touch printf"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def make_root(folder: Path) -> None:
    """A small root file system with a user alice and what tests look for."""
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "home/alice", "data/sub"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(BUSYBOX, folder / "bin/busybox")
    for applet in APPLETS.split():
        (folder / "bin" / applet).symlink_to("busybox")
    (folder / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n")
    (folder / "etc/group").write_text("root:x:0:\nalice:x:1000:\nstaff:x:50:alice\n")
    (folder / "etc/not-executable").write_text("x")
    (folder / "data/file").write_text("from the image")
    os.chown(folder / "data/file", 1000, 50)


class Host:
    """Short words for what tests do."""

    def __init__(self, made: Kernel, service: PlatformService, directory: Path) -> None:
        self.kernel, self.service, self.directory = made, service, directory
        self.settings = made.settings
        self.stopped = False
        self.made: list[str] = []
        self.exits: dict[str, asyncio.Future[platform.Exited]] = {}

    def request(self, *args: str, name: str = "", **fields: Any) -> CreateRequest:
        """A request for a container of its own root; `process_` fields go to its process."""
        name = name or ids.new_id()
        layer = self.directory / "layers" / name
        for part in ("upper", "work"):
            (layer / part).mkdir(parents=True, exist_ok=True)
        options = (f"lowerdir={self.directory}/root", f"upperdir={layer}/upper", f"workdir={layer}/work")
        process = {k.removeprefix("process_"): fields.pop(k) for k in list(fields) if k.startswith("process_")}
        process = {"env": (PATH,)} | process
        self.made.append(name)
        self.exits.setdefault(name, asyncio.get_running_loop().create_future())
        return CreateRequest(
            id=name,
            rootfs=(Mount(type="overlay", source="overlay", options=options),),
            process=Process(args=args, **process),
            hostname=name[:12],
            **fields,
        )

    async def run(self, *args: str, **fields: Any) -> str:
        """Creates and starts."""
        request = self.request(*args, **fields)
        await self.service.create(request)
        await self.service.start(Ref(id=request.id))
        return request.id

    async def exited(self, name: str) -> platform.Exited:
        return await asyncio.wait_for(asyncio.shield(self.exits[name]), 30)

    async def code(self, name: str) -> int:
        return (await self.exited(name)).exit_code

    async def output(self, *args: str, **fields: Any) -> bytes:
        """Runs to the end and returns its log, both streams as one."""
        name = await self.run(*args, **fields)
        await self.exited(name)
        return b"".join(data for _, data in await self.logs(name))

    async def logs(self, name: str, **fields: Any) -> list[tuple[int, bytes]]:
        offer = await self.service.logs(LogsRequest(id=name, **fields))
        return frames(await everything(await self.kernel.streams.take(offer)))

    async def attach(self, name: str, **fields: Any) -> Channel:
        wanted = {"stdout": True, "stderr": True, "stream": True} | fields
        return await self.kernel.streams.take(await self.service.attach(AttachRequest(id=name, **wanted)))

    async def exec(self, name: str, *args: str, attach: bool = True, **fields: Any) -> tuple[str, Channel | None]:
        """Starts a program in a container: its id and the taken stream."""
        exec_id = ids.new_id()
        self.exits[exec_id] = asyncio.get_running_loop().create_future()
        process = Process(args=args, **({"env": (PATH,)} | fields))
        request = platform.ExecRequest(id=name, exec_id=exec_id, process=process, attach=attach)
        reply = await self.service.exec(request)
        return exec_id, await self.kernel.streams.take(reply.offer) if reply.offer else None

    async def ran(self, name: str, *args: str, **fields: Any) -> tuple[int, bytes]:
        """Runs a program in a container to its end: exit code and output of both streams."""
        exec_id, channel = await self.exec(name, *args, **fields)
        assert channel is not None
        data = await everything(channel)
        text = data if fields.get("tty") else b"".join(part for _, part in frames(data))
        return await self.code(exec_id), text

    async def confinement(self, name: str) -> str:
        """What a container may do with devices, and what it sees of control groups, others' beside it left out."""
        script = "exec 2>&1; rm -f /disk; mknod /disk b 254 0; head -c 1 /disk; head -c 3 /dev/zero | wc -c; "
        script += "cat /proc/1/cgroup; awk '$5 ~ /cgroup/ {print $4, $5}' /proc/self/mountinfo; "
        script += "find /sys/fs/cgroup -maxdepth 1 ! -type d | sort"
        return (await self.ran(name, "sh", "-c", script))[1].decode()

    @property
    def linux(self) -> Linux:
        return self.service._linux

    @property
    def driver(self) -> CriuDriver:
        """By which workloads move."""
        return self.service.drivers[0][2]

    async def stop(self) -> None:
        """The service goes; all that it watched goes on."""
        await self.service.close()
        self.stopped = True

    async def logged(self, name: str, lines: int) -> None:
        """Waits until so many lines are in the log."""
        while len(await self.logs(name)) < lines:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)

    async def restart(self) -> None:
        """Another service takes over what this one left, as after its death."""
        if not self.stopped:
            await self.stop()
        self.service, self.stopped = PlatformService(self.kernel), False
        await self.service.open()

    async def state(self, name: str) -> platform.Workload:
        """What the platform tells of one container."""
        (found,) = (w for w in (await self.service.list(Empty())).workloads if w.id == name)
        return found

    async def usage(self, name: str) -> dict[str, Any]:
        """One sample of a container's usage, in Docker's form."""
        return (await self.service.stats(platform.StatsRequest(ids=(name,)))).samples[name].raw

    async def delete(self, name: str, logs: bool = True) -> None:
        await self.service.delete(platform.DeleteRequest(id=name, logs=logs))

    def told(self, message: platform.Exited) -> None:
        key = message.exec_id or message.id
        future = self.exits.setdefault(key, asyncio.get_running_loop().create_future())
        if not future.done():
            future.set_result(message)

    async def sweep(self) -> None:
        """Ends and removes everything that a test left."""
        for workload in list(self.linux.workloads):
            self.linux.cgroups.freeze(workload.record.cgroup, False)
            self.linux.cgroups.signal(workload.record.cgroup, signal.SIGKILL)
            await asyncio.wait((workload.ended,), timeout=10)
            await self.delete(workload.record.id)


async def until(condition: Callable[[], object]) -> None:
    """Waits for something on the host that tells nobody."""
    while not condition():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.005)


async def everything(channel: Channel) -> bytes:
    """All bytes to the end."""
    parts = []
    while data := await channel.read():
        parts.append(data)
    channel.close()
    return b"".join(parts)


def frames(data: bytes) -> list[tuple[int, bytes]]:
    deframer = Deframer()
    found = list(deframer.feed(data))
    assert deframer.rest == 0
    return found


@asynccontextmanager
async def service_on(made: Kernel, host_directory: Path) -> AsyncIterator[Host]:
    """The service on a kernel, opened and closed; workloads stay as they are."""
    host = Host(made, PlatformService(made), host_directory)

    async def told(message: platform.Exited) -> None:
        if message.node == made.node:
            host.told(message)

    await made.bus.listen(platform.EXITED, told)
    await host.service.open()
    try:
        yield host
    finally:
        await host.service.close()


@asynccontextmanager
async def platform_host(directory: Path | None = None) -> AsyncIterator[Host]:
    """A host of its own below a temporary folder, swept at the end."""
    with tempfile.TemporaryDirectory(prefix="shl-", dir="/tmp") as temporary:
        base = directory or Path(temporary)
        make_root(base / "root")
        settings = Settings(
            state_dir=str(base / "state"), run_dir=str(base / "run"), cgroup_parent=f"shoal-test-{base.name}"
        )
        async with kernel("platform", base, settings=settings) as made, service_on(made, base) as host:
            try:
                yield host
            finally:
                await host.sweep()
                host.linux.cgroups.remove(f"/{settings.cgroup_parent}")
                for mounted in ("run/platform/roots", "run", "state/volumes"):
                    hostmounts.drop_shared(base / mounted)
