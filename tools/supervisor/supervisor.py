"""The loop: waits for deaths, signals and due times, and acts on what `plan` decides."""

from __future__ import annotations

import fcntl
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from shared import cluster, resting
from shared import listening as sockets
from shared.config import Settings
from shared.errors import FailedPrecondition
from shared.memory import release_code

from . import broker, child, fence, hub, plan, records, reserve, stuck, watch
from .guardian import NAME as GUARDIAN
from .guardian import Guardian
from .users import broker_users

log = logging.getLogger(__name__)

NAME = "supervisor"
ROOM_SECONDS = 1.0
"""Between two looks for space while a broker needs some: nothing tells of it."""
PATIENCE = 10.0
"""Seconds a process takes at most to end when asked to."""


class Supervisor:
    """Keeps the processes of one engine running until it is told to stop.

    `warm` makes this process ready to be forked into services. A supervisor that takes all of them over from one
    that has died has no need of it, and stays small.

    Raises:
        FailedPrecondition: another supervisor already answers for this engine, or its socket cannot be had.
    """

    def __init__(
        self, settings: Settings, command: Sequence[str], warm: Callable[[], None], with_guardian: bool = True
    ) -> None:
        self._settings, self._warm = settings, warm
        self._command = command
        self._where = records.make_folder(settings)
        self._logs = settings.state_path / "log"
        self._logs.mkdir(parents=True, exist_ok=True, mode=0o710)
        self._locks = [_lock(path / "supervisor.lock") for path in (settings.state_path, self._where)]
        self._members = {member.name: member for member in self._planned()}
        self._running: dict[int, str] = {}
        self._poll = select.poll()
        self._stopping = self._replanning = False
        self._with_guardian = with_guardian
        self._guardian: Guardian | None = None
        self._listener: socket.socket | None = None
        self._wakeup = _signals_wake()
        self._poll.register(self._wakeup, select.POLLIN)
        files = cluster.folder(settings.state_path)
        files.mkdir(exist_ok=True, mode=0o700)
        self._place = watch.watch(files)
        self._poll.register(self._place, select.POLLIN)
        self._calls = watch.watch(self._where)
        self._poll.register(self._calls, select.POLLIN)
        self._stuck = stuck.Logs({name: self._log_file(name) for name in (plan.BROKER, plan.HUB)})
        self._poll.register(self._stuck.descriptor, select.POLLIN)
        self._full: set[str] = set()
        """Brokers that could not write, and are to be started again when there is room."""
        self._membership = cluster.load(settings.state_path)
        self._certificate = b""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._plan_anew)
        records.write(self._where, records.of_this_process(NAME, ready=True))

    def run(self) -> None:
        """Starts what does not run, then waits; returns after SIGTERM or SIGINT, when all have ended."""
        self._adopt()
        gateway = self._members.get(plan.GATEWAY)
        if gateway is not None and gateway.started is None:
            self._listening()  # before anything is started: without it there is no engine
        _notify_systemd()
        while not self._stopping:
            if self._replanning:
                self._replan()
            self._wake()
            self._start_due()
            self.keep_guardian()
            release_code()
            self._wait()
        log.info("stops as it was told to")
        self._end_all()

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True  # and no more: a log line here may meet the one that was just being written

    def _plan_anew(self, _number: int, _frame: object) -> None:
        self._replanning = True

    def _planned(self) -> tuple[plan.Member, ...]:
        settings = self._settings
        return plan.members(not settings.nats_url, cluster.role(settings.state_path), settings.replaced)

    def _replan(self) -> None:
        """The host's place in its cluster may have changed.

        When it has entered or left one, brokers and services begin anew with what they are now to be. Inside a cluster
        only the hub begins or ends, or takes over who is let in now.
        """
        self._replanning = False
        before, self._membership = self._membership, cluster.load(self._settings.state_path)
        planned = {member.name: member for member in self._planned()}
        if (before is None) is not (self._membership is None):
            for names in plan.stop_order(tuple(self._members.values())):
                self._end(names)
            now = time.monotonic()  # for who rested, too: in a cluster nobody does
            self._members = {name: plan.wanted(member, now) for name, member in self._members.items()}
        elif (before.hub if before else "") != (self._membership.hub if self._membership else ""):
            self._end([plan.HUB])
        if before is not None and before.hub and plan.HUB not in planned:
            hub.remove(self._settings)
        if plan.FENCE not in planned:  # the host has left its cluster, where others start what may be started elsewhere
            fence.end_marked(self._settings)
            self._end([plan.FENCE])
        self._members = {name: self._members.get(name, member) for name, member in planned.items()}
        self._tell_brokers()

    def _end(self, names: Sequence[str]) -> None:
        for name in names:
            self._send(name, signal.SIGTERM)
        for name in names:
            self._await_end(name)
            records.remove(self._where, name)

    def _tell_brokers(self) -> None:
        """Brokers that run take over a changed configuration, and a renewed certificate."""
        certificate = self._read_certificate()
        renewed, self._certificate = certificate != self._certificate, certificate
        if self._membership is None:
            return
        self._broker_configuration(plan.BROKER)  # for its next start: it hears of new hubs from those it knows
        port = hub.folder(self._settings) / "port"
        running = plan.HUB in self._running.values() and port.exists()
        if running and (hub.write_configuration(self._settings, self._membership, int(port.read_text())) or renewed):
            self._send(plan.HUB, signal.SIGHUP)
        if renewed:
            self._send(plan.BROKER, signal.SIGHUP)

    def _read_certificate(self) -> bytes:
        path = cluster.folder(self._settings.state_path) / "node.crt"
        return path.read_bytes() if path.exists() else b""

    def _adopt(self) -> None:
        """Takes over the processes that an earlier supervisor left."""
        now = time.monotonic()
        for name, member in self._members.items():
            record = records.read(self._where, name)
            if record and self._watch(name, record):
                log.info("takes over %s, process %d", name, record.pid)
                self._members[name] = plan.begun(member, now)
            elif self._rests(name):
                self._members[name] = plan.rested(member)
        self._tell_brokers()  # it may have changed while nobody was told

    def _start_due(self) -> None:
        for member in plan.due(tuple(self._members.values()), time.monotonic()):
            if member.looping:
                log.error("%s ended %d times in a row soon after its start; see %s", *self._trouble(member))
            self._members[member.name] = plan.begun(member, time.monotonic())
            try:
                self._start(member.name, self._work(member.name))
            except (OSError, FailedPrecondition):  # no memory, no socket: it is tried again
                log.exception("%s could not be started", member.name)
                self._members[member.name] = plan.ended(self._members[member.name], time.monotonic())

    def _trouble(self, member: plan.Member) -> tuple[str, int, Path]:
        return member.name, member.short_lives, self._log_file(member.name)

    def _work(self, name: str) -> Callable[[], None]:
        if name == plan.FENCE:
            return lambda: fence.serve(self._settings, self._where)
        if name not in (plan.BROKER, plan.HUB):
            self._warm()
            return lambda: child.serve(name, self._settings, self._where)
        reserve.settle(self._settings)
        program, path = broker.program(), self._broker_configuration(name)
        return lambda: child.become(program, "--config", str(path), environment=broker.ENVIRONMENT)

    def _broker_configuration(self, name: str) -> Path:
        membership = cluster.load(self._settings.state_path)
        if name == plan.HUB and membership is not None:
            return hub.prepare(self._settings, membership)
        running = plan.BROKER in self._running.values()
        port = int((broker.folder(self._settings) / "port").read_text()) if running else 0
        port = port or broker.choose_port(self._settings)
        return broker.write_configuration(self._settings, port, broker_users(self._settings))

    def _start(self, name: str, work: Callable[[], None]) -> None:
        listening = self._listening() if name == plan.GATEWAY else None
        pid = child.spawn(name, self._where, self._log_file(name), work, listening=listening)
        descriptor = os.pidfd_open(pid)  # our own child: it cannot be somebody else's number before we wait for it
        self._follow(descriptor, name)
        log.info("started %s, process %d", name, pid)

    def _listening(self) -> socket.socket:
        """The API's socket; made when the first gateway of this supervisor starts."""
        self._listener = self._listener or sockets.bind(self._settings.socket_path, self._settings.socket_group)
        return self._listener

    def _watch(self, name: str, record: records.Record) -> bool:
        descriptor = records.open_pidfd(record)
        if descriptor is None:
            return False
        self._follow(descriptor, name)
        return True

    def _follow(self, descriptor: int, name: str) -> None:
        self._running[descriptor] = name
        self._poll.register(descriptor, select.POLLIN)
        if name in (plan.BROKER, plan.HUB):
            self._stuck.follow(name)

    def keep_guardian(self) -> None:
        """Sees to it that somebody restarts this supervisor if it dies; done before anything that takes time."""
        if not self._with_guardian:
            records.remove(self._where, GUARDIAN)
        elif self._guardian is None:
            spawn = (self._where, self._log_file(NAME), self._command)
            self._guardian = Guardian.parent(self._where) or Guardian.spawn(*spawn)
            self._poll.register(self._guardian.pidfd, select.POLLIN)

    def _wait(self) -> None:
        self._relieve()
        seconds = plan.wait(tuple(self._members.values()), time.monotonic())
        if self._full:
            seconds = min(ROOM_SECONDS, ROOM_SECONDS if seconds is None else seconds)
        for descriptor, _ in self._poll.poll(None if seconds is None else seconds * 1000 + 1):
            if descriptor in (self._wakeup, self._place, self._calls):
                os.read(descriptor, 65536)
                self._replanning |= descriptor == self._place
            elif descriptor == self._stuck.descriptor:
                self._full |= {*self._stuck.look()} & {*self._running.values()}
            elif self._guardian and descriptor == self._guardian.pidfd:
                self._guardian_ended()
            else:
                self._ended(descriptor)

    def _relieve(self) -> None:
        """Brokers that met a full disk are started again, as soon as there is space."""
        if self._full and reserve.has_room(self._settings):
            log.warning("%s: could not write to the disk, and would take no write any more", ", ".join(self._full))
            for name in self._full:
                self._send(name, signal.SIGTERM)
            self._full.clear()

    def _ended(self, descriptor: int) -> None:
        name = self._running.pop(descriptor)
        self._full.discard(name)
        self._poll.unregister(descriptor)
        status = _reap(descriptor)
        os.close(descriptor)
        if self._stopping:
            return
        if self._rests(name):
            log.info("%s rests", name)
            self._members[name] = plan.rested(self._members[name])
        else:
            log.warning("%s ended (%s) and is started again", name, status)
            self._members[name] = plan.ended(self._members[name], time.monotonic())

    def _rests(self, name: str) -> bool:
        record = records.read(self._where, name)
        return record is not None and record.resting and records.serves(record)

    def _wake(self) -> None:
        """Who was called while it rested is due; whoever calls in vain asks again, so that no call is missed."""
        for name in resting.take(self._where):
            if name in self._members:
                self._members[name] = plan.wanted(self._members[name], time.monotonic())

    def _guardian_ended(self) -> None:
        if self._guardian:
            self._poll.unregister(self._guardian.pidfd)
            _reap(self._guardian.pidfd)
            self._guardian.close()
            self._guardian = None

    def _end_all(self) -> None:
        if self._guardian:
            self._guardian.dismiss()
        for names in plan.stop_order(tuple(self._members.values())):
            for name in names:
                self._send(name, signal.SIGTERM)
            for name in names:
                self._await_end(name)
        self._settings.socket_path.unlink(missing_ok=True)
        guarded = plan.FENCE in self._members and fence.is_needed(self._settings)
        if not guarded:
            self._send(plan.FENCE, signal.SIGTERM)
            self._await_end(plan.FENCE)
        for name in (GUARDIAN, *self._members, NAME):
            if name != plan.FENCE or not guarded:
                records.remove(self._where, name)

    def _send(self, name: str, number: signal.Signals) -> None:
        for descriptor, running in self._running.items():
            if running == name:
                signal.pidfd_send_signal(descriptor, number)

    def _await_end(self, name: str) -> None:
        for descriptor in [number for number, running in self._running.items() if running == name]:
            if not select.select([descriptor], [], [], PATIENCE)[0]:
                log.error("%s did not end within %d s and is killed", name, PATIENCE)
                self._send(name, signal.SIGKILL)
                select.select([descriptor], [], [])
            self._ended(descriptor)

    def _log_file(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise FailedPrecondition(f"another supervisor holds {path}") from None
    return descriptor


def _notify_systemd() -> None:
    """Tells systemd, if it started us and waits for it, that the supervisor is in charge; see sd_notify(3)."""
    if address := os.environ.pop("NOTIFY_SOCKET", ""):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.connect("\0" + address[1:] if address.startswith("@") else address)
            to.send(b"READY=1")


def _signals_wake() -> int:
    """A descriptor that gets a byte for each signal, so that none is missed between two polls."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def _reap(descriptor: int) -> str:
    """Waits for an own child that has ended; how it ended, as far as that can be known."""
    try:
        result = os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return "not our child"
    if result is None:
        return "still running"
    if result.si_code == os.CLD_EXITED:
        return f"exit code {result.si_status}"
    return f"signal {result.si_status}"
