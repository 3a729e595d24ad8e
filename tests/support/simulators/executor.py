"""A model of the executor: containers that write what they are told, end when they are told, and keep records.

A container's command decides what it does: `echo WORDS`, `cat`, `sleep`, `exit N`; `true` is `exit 0`.
"""

from __future__ import annotations

import asyncio

import msgspec

from shared.clock import now_ns
from shared.container_events import container_event, exec_event
from shared.contracts import execs
from shared.contracts import executor as contract
from shared.contracts.base import Empty, Message
from shared.contracts.common import NameRecord, PruneReport, Ref, Revision, StreamOffer
from shared.contracts.container import ContainerPlacement, ContainerSpec, ContainerStatus
from shared.errors import AlreadyExists, Conflict, NotFound, NotModified
from shared.ids import new_id
from shared.service import Kernel
from shared.streams import Channel, frame


class Machine:
    """One simulated container."""

    def __init__(self, spec: ContainerSpec) -> None:
        self.spec, self.status = spec, ContainerStatus()
        self.revision, self.log = 0, b""
        self.lock = asyncio.Lock()
        self.ended, self.written = asyncio.Event(), asyncio.Event()
        self.attached: list[Channel] = []
        self.joined, self.started = asyncio.Event(), asyncio.Event()
        self.stdin: asyncio.Queue[bytes] = asyncio.Queue()

    def frame(self, stream: int, data: bytes) -> bytes:
        return data if self.spec.config.tty else frame(stream, data)

    async def write(self, stream: int, data: bytes) -> None:
        framed = self.frame(stream, data)
        self.log += framed
        self.written.set()
        for channel in self.attached:
            await channel.write(framed)


class ExecutorSimulator:
    """Serves the executor's contract. `calls` has every request; `fail` an error for an operation's next call."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.machines: dict[str, Machine] = {}
        self.execs: dict[str, execs.ExecState] = {}
        self.checkpoints: dict[str, set[str]] = {}
        self.calls: list[Message] = []
        self.fail: dict[str, Exception] = {}
        self.received = b""

    def last(self) -> Message:
        """The request noted last."""
        return self.calls[-1]

    def _note(self, operation: str, request: Message) -> None:
        self.calls.append(request)
        error = self.fail.pop(operation, None)
        if error is not None:
            raise error

    def _machine(self, id: str) -> Machine:
        if id not in self.machines:
            raise NotFound(f"No such container: {id}")
        return self.machines[id]

    async def _set(self, machine: Machine, **changes: object) -> Revision:
        async with machine.lock:
            machine.status = msgspec.structs.replace(machine.status, **changes)
            machine.revision = await self._kernel.state.update(
                contract.STATUSES, machine.spec.id, value=machine.status, revision=machine.revision
            )
        return Revision(revision=machine.revision)

    def _emit(self, machine: Machine, action: str, **attributes: str) -> None:
        event = container_event(machine.spec, action, now_ns(), **attributes)
        self._kernel.bus.emit(contract.CONTAINER_EVENT, event, suffix=action.partition(":")[0])

    async def create(self, request: contract.CreateRequest) -> contract.CreateReply:
        self._note("create", request)
        if not request.config.image.startswith(("busybox", "sha256:")):
            raise NotFound(f"No such image: {request.config.image}:latest")
        id, state = new_id(), self._kernel.state
        name = request.name or f"sim_{id[:8]}"
        try:
            await state.create(contract.NAMES, name, value=NameRecord(id=id, node=self._kernel.node))
        except AlreadyExists:
            raise AlreadyExists(f'Conflict. The container name "/{name}" is already in use') from None
        command = request.config.entrypoint or request.config.cmd or ("sh",)
        spec = ContainerSpec(
            id=id,
            name=name,
            created=now_ns(),
            config=msgspec.structs.replace(request.config, hostname=request.config.hostname or id[:12]),
            host_config=request.host_config,
            networks=request.networks,
            image_id="sha256:" + "ab" * 32,
            path=command[0],
            args=tuple(command[1:]),
        )
        machine = self.machines[id] = Machine(spec)
        await state.create(contract.PLACEMENTS, id, value=ContainerPlacement(node=self._kernel.node))
        machine.revision = await state.create(contract.STATUSES, id, value=machine.status)
        revision = await state.create(contract.SPECS, id, value=spec)
        self._emit(machine, "create")
        return contract.CreateReply(id=id, name=name, revision=revision)

    async def update(self, request: contract.UpdateRequest) -> contract.UpdateReply:
        self._note("update", request)
        self._machine(request.id)
        return contract.UpdateReply(warnings=("discarded",) if request.resources.blkio_weight else ())

    async def ports(self, request: contract.PortsRequest) -> contract.PortsReply:
        self._note("ports", request)
        self._machine(request.id)
        return contract.PortsReply(ports=dict(request.add))

    async def start(self, request: contract.StartRequest) -> Revision:
        self._note("start", request)
        machine = self._machine(request.id)
        if machine.status.state in ("running", "paused"):
            raise NotModified("container already started")
        machine.ended.clear()
        done = await self._set(
            machine, state="running", pid=4242, started_at=now_ns(), finished_at=0, exit_code=0,
            runs=machine.status.runs + 1,
        )  # fmt: skip
        self._emit(machine, "start")
        machine.started.set()
        self._kernel.tasks.start(self._run(machine), "run")
        return done

    async def _run(self, machine: Machine) -> None:
        command = [machine.spec.path, *machine.spec.args]
        if command[0] == "echo":
            await machine.write(1, " ".join(command[1:]).encode() + b"\n")
        elif command[0] == "cat":
            while data := await machine.stdin.get():
                await machine.write(1, data)
        elif command[0] == "sleep":
            return
        await self.end(machine.spec.id, int(command[1]) if command[0] == "exit" else 0)

    async def end(self, id: str, code: int) -> Revision:
        """The container's process ends."""
        machine = self.machines[id]
        for channel in machine.attached:
            channel.close()
        machine.attached.clear()
        machine.started.clear()
        done = await self._set(machine, state="exited", pid=0, exit_code=code, finished_at=now_ns())
        machine.ended.set()
        machine.written.set()
        self._emit(machine, "die", exitCode=str(code))
        if machine.spec.host_config.auto_remove:
            await self._remove(machine)
        return done

    async def stop(self, request: contract.StopRequest) -> Revision:
        self._note("stop", request)
        machine = self._machine(request.id)
        if machine.status.state != "running":
            raise NotModified("container already stopped")
        return await self.end(request.id, 137)

    async def restart(self, request: contract.StopRequest) -> Revision:
        self._note("restart", request)
        if self._machine(request.id).status.state == "running":
            await self.end(request.id, 137)
        return await self.start(contract.StartRequest(id=request.id))

    async def kill(self, request: contract.KillRequest) -> Empty:
        self._note("kill", request)
        machine = self._machine(request.id)
        if machine.status.state != "running":
            raise Conflict(f"cannot kill container: {request.reference}: container {request.id} is not running")
        await self.end(request.id, 137)
        return Empty()

    async def connect(self, request: contract.ConnectRequest) -> Revision:
        self._note("connect", request)
        return Revision(revision=self._machine(request.id).revision)

    async def disconnect(self, request: contract.DisconnectRequest) -> Revision:
        self._note("disconnect", request)
        return Revision(revision=self._machine(request.id).revision)

    async def pause(self, request: Ref) -> Revision:
        self._note("pause", request)
        machine = self._machine(request.id)
        if machine.status.state != "running":
            raise Conflict(f"container {request.id} is not running")
        return await self._set(machine, state="paused")

    async def unpause(self, request: Ref) -> Revision:
        self._note("unpause", request)
        machine = self._machine(request.id)
        if machine.status.state != "paused":
            raise Conflict(f"container {request.id} is not paused")
        return await self._set(machine, state="running")

    async def remove(self, request: contract.RemoveRequest) -> Revision:
        self._note("remove", request)
        machine = self._machine(request.id)
        if machine.status.state == "running":
            if not request.force:
                raise Conflict(f"cannot remove container {request.reference}: container is running")
            await self.end(request.id, 137)
        return await self._remove(machine)

    async def _remove(self, machine: Machine) -> Revision:
        id, state = machine.spec.id, self._kernel.state
        if self.machines.pop(id, None) is None:
            return Revision()
        await state.delete(contract.SPECS, id)
        await state.delete(contract.PLACEMENTS, id)
        await state.delete(contract.STATUSES, id)
        revision = await state.delete(contract.NAMES, machine.spec.name)
        self._emit(machine, "destroy")
        return Revision(revision=revision)

    async def rename(self, request: contract.RenameRequest) -> Revision:
        self._note("rename", request)
        machine, state = self._machine(request.id), self._kernel.state
        await state.create(contract.NAMES, request.name, value=NameRecord(id=request.id))
        await state.delete(contract.NAMES, machine.spec.name)
        entry = await state.get(contract.SPECS, request.id)
        assert entry is not None
        machine.spec = msgspec.structs.replace(machine.spec, name=request.name)
        revision = await state.update(contract.SPECS, request.id, value=machine.spec, revision=entry.revision)
        return Revision(revision=revision)

    async def resize(self, request: contract.ResizeRequest) -> Empty:
        self._note("resize", request)
        return Empty()

    async def attach(self, request: contract.AttachRequest) -> StreamOffer:
        self._note("attach", request)
        machine = self._machine(request.id)

        async def serve(channel: Channel) -> None:
            if request.stream:
                machine.attached.append(channel)
                machine.joined.set()
            if request.logs:
                await channel.write(machine.log)
            if request.stdin:
                while data := await channel.read():
                    await machine.stdin.put(data)
                if not machine.spec.config.tty:  # a terminal has no end of input
                    await machine.stdin.put(b"")
            if request.stream:
                await machine.started.wait()
                await machine.ended.wait()

        return self._kernel.streams.offer(serve, framed=not machine.spec.config.tty)

    async def detached(self, request: contract.DetachedRequest) -> Empty:
        self._note("detached", request)
        return Empty()

    async def logs(self, request: contract.LogsRequest) -> StreamOffer:
        self._note("logs", request)
        machine = self._machine(request.id)

        async def serve(channel: Channel) -> None:
            sent = 0
            while True:
                machine.written.clear()
                await channel.write(machine.log[sent:])
                sent = len(machine.log)
                if not request.follow or machine.ended.is_set():
                    return
                await machine.written.wait()

        return self._kernel.streams.offer(serve, framed=not machine.spec.config.tty)

    async def exec_create(self, request: execs.ExecCreateRequest) -> execs.ExecRef:
        self._note("exec_create", request)
        machine = self._machine(request.id)
        if machine.status.state != "running":
            raise Conflict(f"container {request.id} is not running")
        id = request.exec_id or new_id()
        event = exec_event(machine.spec, "exec_create", request.cmd, id, request.at or now_ns())
        self._kernel.bus.emit(contract.CONTAINER_EVENT, event, suffix="exec_create")
        self.execs[id] = execs.ExecState(id=id, container_id=request.id, request=request)
        return execs.ExecRef(exec_id=id)

    async def exec_start(self, request: execs.ExecStartRequest) -> execs.ExecStartReply:
        state = self._exec("exec_start", request)
        self.execs[request.exec_id] = msgspec.structs.replace(state, exit_code=0)

        async def serve(channel: Channel) -> None:
            out = " ".join(state.request.cmd[1:]).encode() + b"\n"
            if state.request.cmd[0] == "cat":
                out = b""
                while data := await channel.read():
                    out += data
            await channel.write(out if request.tty else frame(1, out))

        offer = None if request.detach else self._kernel.streams.offer(serve, framed=not request.tty)
        return execs.ExecStartReply(offer=offer, tty=request.tty)

    async def exec_inspect(self, request: execs.ExecRef) -> execs.ExecState:
        return self._exec("exec_inspect", request)

    def _exec(self, operation: str, request: execs.ExecStartRequest | execs.ExecRef) -> execs.ExecState:
        self._note(operation, request)
        if request.exec_id not in self.execs:
            raise NotFound(f"No such exec instance: {request.exec_id}")
        return self.execs[request.exec_id]

    async def top(self, request: contract.TopRequest) -> contract.TopReply:
        self._note("top", request)
        return contract.TopReply(titles=("PID", "CMD"), processes=(("1", "sleep 1000"),))

    async def usage(self, request: Empty) -> contract.UsageReply:
        self._note("usage", request)
        entries = tuple(contract.UsageEntry(id=id, rw_bytes=5, rootfs_bytes=1005) for id in self.machines)
        return contract.UsageReply(entries=entries)

    async def changes(self, request: Ref) -> StreamOffer:
        self._note("changes", request)
        self._machine(request.id)
        lines = b'{"path":"/a","kind":1}\n{"path":"/b","kind":2}\n'
        return self._kernel.streams.offer(lambda channel: channel.write(lines), framed=False)

    async def stat_path(self, request: execs.PathRequest) -> execs.PathStat:
        self._note("stat_path", request)
        self._machine(request.id)
        if request.path == "/nope":
            raise NotFound(f"Could not find the file /nope in container {request.reference}")
        return execs.PathStat(name="f", size=3, mode=0o104755, mtime=1_500_000_000, link_target="/t")

    async def read_archive(self, request: execs.PathRequest) -> execs.ReadReply:
        found = await self.stat_path(request)
        end = b"" if request.path == "/cut" else bytes(1024)

        async def serve(channel: Channel) -> None:
            await channel.write(b"archive" * 100_000)
            await channel.write(end[:1000])
            await channel.write(end[1000:])

        return execs.ReadReply(stat=found, offer=self._kernel.streams.offer(serve, framed=False))

    async def write_archive(self, request: execs.WriteRequest) -> StreamOffer:
        await self.stat_path(request)

        async def serve(channel: Channel) -> None:
            self.received = b""
            while data := await channel.read():
                self.received += data
            if self.received == b"dies":
                return
            wrong = b'{"errorDetail":{"code":400,"message":"bad"},"error":"bad"}\n'
            await channel.write(wrong if self.received == b"bad" else b"{}\n")

        return self._kernel.streams.offer(serve, framed=False)

    async def export(self, request: Ref) -> StreamOffer:
        self._note("export", request)
        self._machine(request.id)
        return self._kernel.streams.offer(lambda channel: channel.write(b"root" + bytes(1024)), framed=False)

    async def commit(self, request: contract.CommitRequest) -> contract.CommitReply:
        self._note("commit", request)
        self._machine(request.id)
        return contract.CommitReply(image_id="sha256:" + "cd" * 32)

    async def checkpoint_create(self, request: contract.CheckpointRequest) -> Revision:
        self._note("checkpoint_create", request)
        machine = self._machine(request.id)
        self.checkpoints.setdefault(request.id, set()).add(request.checkpoint)
        return await self.end(request.id, 137) if request.exit else Revision(revision=machine.revision)

    async def checkpoint_list(self, request: contract.CheckpointListRequest) -> contract.CheckpointListReply:
        self._note("checkpoint_list", request)
        return contract.CheckpointListReply(names=tuple(sorted(self.checkpoints.get(request.id, ()))))

    async def checkpoint_delete(self, request: contract.CheckpointRef) -> Empty:
        self._note("checkpoint_delete", request)
        self.checkpoints[request.id].discard(request.checkpoint)
        return Empty()

    async def prune(self, request: contract.PruneRequest) -> PruneReport:
        self._note("prune", request)
        for id in request.ids:
            await self._remove(self._machine(id))
        return PruneReport(removed=request.ids, bytes_freed=5 * len(request.ids))
