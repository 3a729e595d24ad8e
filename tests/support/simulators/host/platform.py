"""A model of the platform: workloads that run until a signal or the test ends them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from shared.clock import now_ns
from shared.contracts import migration_driver as driver
from shared.contracts import platform as contract
from shared.contracts.base import Empty
from shared.contracts.common import Platform, Ref, StreamOffer
from shared.contracts.execs import PathStat, ReadReply
from shared.contracts.executor import AttachRequest, LogsRequest, ResizeRequest, TopReply, TopRequest
from shared.contracts.moving import Peer
from shared.contracts.trees import SyncOutRequest, SyncReply
from shared.errors import AlreadyExists, Conflict, FailedPrecondition, NotFound, ShoalError
from shared.service import Kernel
from shared.streams import Channel
from tests.support.simulators.host.behaviour import Behaviour

HOST = contract.HostInfo(
    platform=Platform(),
    kernel_version="6.1.0",
    operating_system="Debian GNU/Linux 12 (bookworm)",
    os_version="12",
    cpus=2,
    memory_bytes=1 << 30,
    cgroup_version="2",
    runtimes={"crun": "/usr/bin/crun", "runc": "/usr/bin/runc"},
)
SIGKILL, SIGTERM = 9, 15


@dataclass
class Machine:
    """One workload."""

    request: contract.CreateRequest
    pid: int
    state: str = "running"
    started_at: int = 0
    exit_code: int = 0
    exited_at: int = 0
    oom_killed: bool = False
    signals: list[int] = field(default_factory=list)


class PlatformSimulator(Behaviour):
    """Serves the platform's contract, and that of the migration driver.

    Programs `true`, `false` and `exit N` end at once, others run.
    `deaf` programs ignore SIGTERM, `immortal` ones SIGKILL too. `report`: `now` tells exits at once, `late`
    keeps them for `tell_exits`, `never` loses them. `says` is what attached execs write, from when they are taken.
    """

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self._kernel = kernel
        self.machines: dict[str, Machine] = {}
        self.execs: dict[str, contract.ExecExit] = {}
        self.told: list[str] = []
        """Execs whose end was told."""
        self.says: bytes | None = None
        self.report = "now"
        self.unmovable: tuple[str, ...] = ()
        self.untold: list[contract.Exited] = []
        self._pids = iter(range(1000, 1_000_000))
        self._changed = asyncio.Event()

    def end(self, container_id: str, code: int, *, oom: bool = False) -> None:
        """The workload's process ends."""
        machine = self.machines[container_id]
        if machine.state == "stopped":
            return
        machine.state, machine.exit_code, machine.exited_at, machine.oom_killed = "stopped", code, now_ns(), oom
        self._tell(
            contract.Exited(
                id=container_id, exit_code=code, exited_at=machine.exited_at, oom_killed=oom, node=self._kernel.node
            )
        )

    def end_exec(self, exec_id: str, container_id: str, code: int) -> None:
        self.told.append(exec_id)
        self.execs[exec_id] = contract.ExecExit(exec_id=exec_id, container_id=container_id, exit_code=code)
        self._tell(
            contract.Exited(
                id=container_id, exec_id=exec_id, exit_code=code, exited_at=now_ns(), node=self._kernel.node
            )
        )

    def _tell(self, exited: contract.Exited) -> None:
        if self.report == "now":
            self._kernel.bus.emit(contract.EXITED, exited)
        elif self.report == "late":
            self.untold.append(exited)

    def tell_exits(self) -> None:
        for exited in self.untold:
            self._kernel.bus.emit(contract.EXITED, exited)
        self.untold.clear()

    async def tell_transferred(self, container_id: str, action: str) -> None:
        told = contract.Transferred(id=container_id, action=action, node=self._kernel.node)
        await self._kernel.bus.tell(contract.TRANSFERRED, told)

    async def migratable(self, request: driver.MigratableRequest) -> driver.MoveFacts:
        await self.enter("migratable", request)
        return driver.MoveFacts(
            host=driver.MoveHost(node=self._kernel.node), reasons=self.unmovable, memory_bytes=1000, log=True
        )

    async def receive(self, request: driver.ReceiveRequest) -> Peer:
        await self.enter("receive", request)
        self.machines[request.request.id] = Machine(request.request, next(self._pids), "receiving", request.started_at)
        return Peer(node=self._kernel.node, address="a:1", ticket=request.request.id)

    async def precopy(self, request: driver.PrecopyRequest) -> driver.PrecopyReply:
        await self.enter("precopy", request)
        return driver.PrecopyReply(bytes=100, changed_bytes=100, total_bytes=100)

    async def freeze(self, request: Ref) -> driver.FreezeReply:
        await self.enter("freeze", request)
        self._become(request.id, "running", "leaving")
        return driver.FreezeReply(frozen_at=now_ns())

    async def dump(self, request: Ref) -> driver.DumpReply:
        await self.enter("dump", request)
        self._become(request.id, "leaving", "leaving")
        return driver.DumpReply(dump_ns=1, bytes=200, log_bytes=1)

    async def restore(self, request: Ref) -> driver.RestoreReply:
        """A failure leaves nothing here."""
        try:
            await self.enter("restore", request)
        except ShoalError:
            self.machines.pop(request.id, None)
            raise
        if request.id not in self.machines:
            raise NotFound("no such workload")
        if self.machines[request.id].state not in ("held", "running"):
            self._become(request.id, "receiving", "held")
        return driver.RestoreReply(restore_ns=1)

    async def resume(self, request: Ref) -> driver.ResumeReply:
        await self.enter("resume", request)
        if request.id not in self.machines:
            raise NotFound("no such workload")
        if self.machines[request.id].state != "running":
            if self.machines[request.id].state != "held":
                self._become(request.id, "receiving", "held")
            self._become(request.id, "held", "running")
        machine = self.machines[request.id]
        return driver.ResumeReply(pid=machine.pid, log_path="/log", started_at=machine.started_at, resumed_at=now_ns())

    async def settle(self, request: Ref) -> driver.SettleReply:
        await self.enter("settle", request)
        return driver.SettleReply(bytes=1)

    async def discard(self, request: Ref) -> Empty:
        await self.enter("discard", request)
        if request.id in self.machines and self.machines[request.id].state == "leaving":
            del self.machines[request.id]
        return Empty()

    async def thaw(self, request: Ref) -> Empty:
        await self.enter("thaw", request)
        if request.id in self.machines and self.machines[request.id].state == "leaving":
            self.machines[request.id].state = "running"
        return Empty()

    async def abandon(self, request: Ref) -> Empty:
        await self.enter("abandon", request)
        if request.id in self.machines:
            if self.machines[request.id].state not in ("receiving", "held"):
                raise Conflict("it runs here")
            del self.machines[request.id]
        return Empty()

    def _become(self, container_id: str, before: str, after: str) -> None:
        machine = self.machines.get(container_id)
        if machine is None or machine.state != before:
            raise FailedPrecondition(f"{container_id} is not {before}")
        machine.state = after

    async def sync_out(self, request: SyncOutRequest) -> SyncReply:
        await self.enter("sync_out", request)
        return SyncReply(bytes=10, changed=1)

    async def stat_path(self, request: contract.FilesRequest) -> PathStat:
        await self.enter("stat_path", request)
        return PathStat(name=request.path.rpartition("/")[2], size=1, mode=0o100644, mtime=1)

    async def read_archive(self, request: contract.FilesRequest) -> ReadReply:
        await self.enter("read_archive", request)
        found = PathStat(name=request.path.rpartition("/")[2], size=1, mode=0o100644, mtime=1)
        return ReadReply(stat=found, offer=StreamOffer(path="/read", ticket=request.id, framed=False))

    async def write_archive(self, request: contract.WriteRequest) -> StreamOffer:
        await self.enter("write_archive", request)
        return StreamOffer(path="/write", ticket=request.id, framed=False)

    async def export(self, request: contract.FilesRequest) -> StreamOffer:
        await self.enter("export", request)
        return StreamOffer(path="/export", ticket=request.id, framed=False)

    def lose_all(self) -> None:
        """The host went down: nothing runs and nothing is known of what ran."""
        self.machines.clear()

    def _machine(self, container_id: str) -> Machine:
        if container_id not in self.machines:
            raise NotFound(f"no workload {container_id}")
        return self.machines[container_id]

    def _alive(self, container_id: str) -> Machine:
        machine = self._machine(container_id)
        if machine.state not in ("running", "paused"):
            raise Conflict(f"workload {container_id} is not running")
        return machine

    async def prepare(self, request: contract.PrepareRequest) -> Empty:
        await self.enter("prepare", request)
        return Empty()

    async def create(self, request: contract.CreateRequest) -> contract.CreateReply:
        await self.enter("create", request)
        if request.id in self.machines:
            raise AlreadyExists(f"workload {request.id} exists")
        machine = Machine(request, pid=next(self._pids), started_at=now_ns())
        machine.state = "running" if request.start else "created"
        self.machines[request.id] = machine
        if request.start:
            self._run(machine)
        self.leave("create")
        return contract.CreateReply(pid=machine.pid, log_path=f"/logs/{request.id}", started_at=machine.started_at)

    def _run(self, machine: Machine) -> None:
        program, *words = machine.request.process.args
        codes = {"true": 0, "false": 1, "exit": int(words[0]) if words and words[0].isdigit() else 0}
        if program in codes:
            asyncio.get_running_loop().call_soon(self.end, machine.request.id, codes[program])

    async def start(self, request: Ref) -> contract.StartReply:
        await self.enter("start", request)
        machine = self._machine(request.id)
        machine.state = "running"
        self._run(machine)
        return contract.StartReply(started_at=machine.started_at)

    async def signal(self, request: contract.SignalRequest) -> Empty:
        await self.enter("signal", request)
        machine = self._alive(request.id)
        if request.exec_id:
            if request.exec_id not in self.execs:
                self.end_exec(request.exec_id, request.id, 128 + request.signal)
            return Empty()
        machine.signals.append(request.signal)
        program = machine.request.process.args[0]
        dies = request.signal == SIGKILL and program != "immortal"
        dies = dies or (request.signal == SIGTERM and program not in ("deaf", "immortal"))
        if dies and (machine.state == "running" or request.signal == SIGKILL):
            asyncio.get_running_loop().call_soon(self.end, request.id, 128 + request.signal)
        return Empty()

    async def pause(self, request: Ref) -> Empty:
        await self.enter("pause", request)
        self._alive(request.id).state = "paused"
        return Empty()

    async def unpause(self, request: Ref) -> Empty:
        await self.enter("unpause", request)
        machine = self._alive(request.id)
        machine.state = "running"
        if SIGTERM in machine.signals:
            self.end(request.id, 128 + SIGTERM)
        return Empty()

    async def delete(self, request: contract.DeleteRequest) -> Empty:
        await self.enter("delete", request)
        machine = self.machines.get(request.id)
        if machine is not None and machine.state in ("running", "paused"):
            raise Conflict(f"workload {request.id} is running")
        self.machines.pop(request.id, None)
        return Empty()

    async def list(self, request: Empty) -> contract.ListReply:
        await self.enter("list", request)
        workloads = tuple(
            contract.Workload(
                id=container_id,
                state=machine.state,  # type: ignore[arg-type]
                pid=machine.pid,
                exit_code=machine.exit_code,
                exited_at=machine.exited_at,
                started_at=machine.started_at,
                oom_killed=machine.oom_killed,
            )
            for container_id, machine in self.machines.items()
        )
        return contract.ListReply(workloads=workloads, execs=tuple(self.execs.values()))

    def _offer(self) -> StreamOffer:
        return StreamOffer(path="/nowhere", ticket="t" * 32)

    async def exec(self, request: contract.ExecRequest) -> contract.ExecReply:
        await self.enter("exec", request)
        self._alive(request.id)
        return contract.ExecReply(pid=next(self._pids), offer=self._exec_offer() if request.attach else None)

    def _exec_offer(self) -> StreamOffer:
        if self.says is None:
            return self._offer()
        says = self.says

        async def serve(channel: Channel) -> None:
            await channel.write(says)

        return self._kernel.streams.offer(serve)

    async def checkpoint(self, request: contract.CheckpointRequest) -> Empty:
        await self.enter("checkpoint", request)
        self._alive(request.id)
        Path(request.image_path).mkdir(parents=True)
        if not request.leave_running:
            self.end(request.id, 137)
        return Empty()

    async def exec_forget(self, request: contract.ForgetRequest) -> Empty:
        await self.enter("exec_forget", request)
        for exec_id in request.ids:
            self.execs.pop(exec_id, None)
        return Empty()

    async def resize(self, request: ResizeRequest) -> Empty:
        await self.enter("resize", request)
        return Empty()

    async def attach(self, request: AttachRequest) -> StreamOffer:
        await self.enter("attach", request)
        return self._offer()

    async def logs(self, request: LogsRequest) -> StreamOffer:
        await self.enter("logs", request)
        return self._offer()

    async def top(self, request: TopRequest) -> TopReply:
        await self.enter("top", request)
        return TopReply(titles=("PID", "CMD"), processes=(("1", "sleep"),))

    async def update(self, request: contract.UpdateRequest) -> Empty:
        await self.enter("update", request)
        return Empty()

    async def stats(self, request: contract.StatsRequest) -> contract.StatsReply:
        await self.enter("stats", request)
        return contract.StatsReply()

    async def host(self, request: Empty) -> contract.HostInfo:
        await self.enter("host", request)
        return HOST
