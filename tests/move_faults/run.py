"""A lab, what moves in it, and one case: a step, a fault, and what must hold afterwards."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from shared import hostmounts, ids
from shared.bus import Bus
from shared.config import Settings
from shared.errors import FailedPrecondition
from shared.service import connect
from tests.cluster_faults.clients import call
from tests.support.cluster import Hosts
from tests.support.debian_images import archive
from tests.support.software import REDIS
from tools.lab.lab import Lab

from . import faults, watch
from .faults import DISK, Fault
from .tap import Loop, Phase, Tap, broker_port, reach

ORDER = (
    "claim",
    "depart",
    "fetch",
    "receive",
    "copy",
    "precopy",
    "hold",
    "freeze",
    "detach",
    "dump",
    "restore",
    "switch",
    "take_over",
    "taken",
    "leave",
    "settle",
    "discard",
    "give_up",
    "forget",
)
"""The requests of a live move by which its steps are known."""
UNDO = ("attach", "thaw", "stay", "abandon", "forgotten")
"""Those of a move that is broken off: the last is `forget` again."""
PHASES: tuple[Phase, ...] = ("before", "during", "after")
KINDS = ("redis", "bare")
SETTLE, ENDED, REACHED = 120.0, 60.0, 60.0
"""Seconds for which is waited at most."""
COUNT = "i=0; while i=$((i+1)); do echo $i; usleep 20000; done"


class Case(NamedTuple):
    """One of them, as it is named on the command line."""

    step: str
    fault: Fault
    phase: Phase
    kind: str
    strategy: str = "copy"

    @classmethod
    def parsed(cls, words: str) -> Case:
        """From its name."""
        step, fault, phase, kind, strategy = words.split(":")
        what, _, where = fault.partition("-")
        return cls(step, Fault(what, where), phase, kind, strategy)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.step}:{self.fault}:{self.phase}:{self.kind}:{self.strategy}"

    @property
    def settled(self) -> bool:
        """Whether the container is the target's by then, whatever comes."""
        return self.step in ORDER[ORDER.index("leave") :]


@dataclass
class Outcome:
    """Where it is in the end, and what is wrong."""

    where: str = ""
    settled: float = 0.0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    said: str = ""
    steps: str = ""


class World:
    """Three hosts; containers go to and fro between the first two, clients are on the third."""

    def __init__(self, hosts: Hosts, loop: Loop, buses: dict[int, Bus]) -> None:
        self.hosts, self.loop, self.buses = hosts, loop, buses
        self.taps = {number: Tap(loop, hosts, number) for number in (1, 2)}
        self.ids: dict[str, str] = {}
        self.client: watch.Client | None = None
        self.at: dict[str, int] = {}
        self._left: dict[int, dict[int, dict[str, object]]] = {}

    def make(self, kind: str) -> None:
        """What moves, anew and alone, on the first host; what hosts have of it when all is well."""
        if self.client is not None:
            self.client.end()
            self.client = None
        self.hosts.run(3, "docker", "rm", "-f", "-v", *KINDS)
        self.hosts.run(1, "docker", "volume", "rm", "moved")
        self.hosts.run(2, "docker", "volume", "rm", "moved")
        getattr(self, f"_{kind}")()
        self.at, self._left = {kind: 1}, {}
        left: dict[int, dict[int, dict[str, object]]] = {}
        for _ in range(2):
            if wrong := self.clean(kind):
                raise RuntimeError(f"{kind}: {wrong}")
            left[self.at[kind]] = self._inventories(kind)
        self._left = left

    def _redis(self) -> None:
        words = ("-u", "0", "-v", "moved:/data", "--entrypoint", "redis-server", REDIS.tags[0])
        on = ("--label", "shoal.node=node1", "--network", "net", "--name", "redis")
        self.ids["redis"] = self.hosts.docker(1, "run", "-d", *on, *words, "--save", "", "--protected-mode", "no")
        check = "until redis-cli ping | grep -q PONG; do sleep 0.1; done"
        self.hosts.docker(1, "exec", "redis", "sh", "-c", check)
        address = self.hosts.docker(1, "inspect", "-f", "{{.NetworkSettings.Networks.net.IPAddress}}", "redis")
        (pid, *_) = watch.group(self.hosts, 3, self.hosts.docker(3, "inspect", "-f", "{{.Id}}", "probe3"))
        self.client = watch.Client(Path(f"/proc/{pid}/ns/net"), address)

    def _bare(self) -> None:
        on = ("--label", "shoal.node=node1", "--network", "none", "--name", "bare")
        self.ids["bare"] = self.hosts.docker(1, "run", "-d", *on, "busybox", "sh", "-c", COUNT)

    def tapped(self, number: int) -> Tap:
        """The host's tap, with its migrator at it."""
        if not self.taps[number].connected:
            self.taps[number].open()
        return self.taps[number]

    def migrate(self, kind: str, strategy: str) -> watch.Move:
        """To the other host; begun at a third one."""
        return watch.Move(self.hosts, 3, self.ids[kind], f"node{3 - self.at[kind]}", strategy)

    def clean(self, kind: str) -> list[str]:
        """To the other host, with nothing in the way; what is wrong."""
        source = self.at[kind]
        if said := self.migrate(kind, "copy").end(SETTLE):
            return [f"it cannot be moved: {said}"]
        self.at[kind] = 3 - source
        return self.judged(kind, alive=True)

    def _inventories(self, kind: str) -> dict[int, dict[str, object]]:
        return {number: watch.inventory(self.hosts, number, self.ids[kind]) for number in (1, 2, 3)}

    def settled(self, kind: str) -> list[str]:
        """What the hosts do not agree on yet; empty: `at` says where it is."""
        heard = [watch.ready(self.hosts, number) for number in (1, 2, 3)]
        if heard != [3, 3, 3]:
            return [f"hosts hear of {heard} hosts"]
        seen = {watch.shown(self.hosts, number, self.ids[kind]) for number in (1, 2, 3)}
        if len(seen) != 1:
            return [f"hosts tell {sorted(seen)}"]
        if left := self.loop.run(watch.unfinished(self.buses[3], [self.nodes[1], self.nodes[2]])):
            return [f"unfinished: {one[:300]}" for one in left]
        ((name, _),) = seen
        self.at[kind] = int(name.removeprefix("node"))
        return []

    @property
    def nodes(self) -> dict[int, str]:
        return {number: ids.node_id(self.hosts.lab.plan.home(number) / "state") for number in (1, 2, 3)}

    def judged(self, kind: str, alive: bool, seconds: float = SETTLE) -> list[str]:
        """What is wrong when all should be well."""
        if wrong := watch.until(lambda: self.settled(kind), seconds):
            return wrong
        here = {number: watch.group(self.hosts, number, self.ids[kind]) for number in (1, 2)}
        _, state = watch.shown(self.hosts, 3, self.ids[kind])
        wrong = [f"host {number} has processes of it" for number in (1, 2) if here[number] and number != self.at[kind]]
        runs = bool(here[self.at[kind]])
        if runs != (state == "running"):
            wrong.append(f"it is {state}, and {'has' if runs else 'has no'} processes")
        if not alive:
            return wrong
        if not runs:
            return [*wrong, f"it does not run any more: it is {state} on host {self.at[kind]}"]
        return [*wrong, *getattr(self, f"_{kind}_goes_on")(), *self._leaks(kind)]

    def _leaks(self, kind: str) -> list[str]:
        wanted = self._left.get(self.at[kind])
        if wanted is None:
            return []

        def left() -> list[str]:
            now = self._inventories(kind)
            return [
                f"host {number}: {what}: {now[number][what]} and not {value}"
                for number, had in wanted.items()
                for what, value in had.items()
                if now[number][what] != value
            ]

        return watch.until(left, ENDED)

    def _redis_goes_on(self) -> list[str]:
        """Its client, and new ones from every host."""
        client = self.client
        assert client is not None
        before = client.answers
        wrong = watch.until(
            lambda: [] if client.error or client.answers > before + 20 else ["the client's connection stands"], ENDED
        )
        wrong += [client.error] if client.error else []
        ask = "printf 'PING\\r\\nQUIT\\r\\n' | nc -w 5 redis 6379"
        for number in (1, 2, 3):
            done = self.hosts.run(number, "docker", "exec", f"probe{number}", "sh", "-c", ask)
            if "+PONG" not in done.stdout:
                wrong.append(f"host {number} does not reach it: {done.stdout}{done.stderr}")
        return wrong

    def _bare_goes_on(self) -> list[str]:
        last = -1

        def counts() -> list[str]:
            nonlocal last
            told = self.hosts.docker(3, "logs", "--tail", "2000", "bare").splitlines()
            if strange := [line for line in told if not line.isdecimal()]:
                return [f"its log has {strange}"]
            numbers = [int(one) for one in told]
            if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
                at = next(i for i in range(1, len(numbers)) if numbers[i] != numbers[i - 1] + 1)
                return [f"its log has {numbers[at - 1]} and then {numbers[at]}"]
            last, before = numbers[-1], last
            return [] if -1 < before < last else [f"it does not count: {before} {last}"]

        return watch.until(counts, ENDED)

    def case(self, case: Case) -> Outcome:
        """From where it is to the other host, with the fault."""
        begun, outcome = time.monotonic(), Outcome()
        if case.kind not in self.at:
            self.make(case.kind)
        source, target = self.at[case.kind], 3 - self.at[case.kind]
        tap = self.tapped(source)
        program = "redis-server" if case.kind == "redis" else "sh"
        twice = watch.Twice(self.hosts, self.ids[case.kind], program, (1, 2))
        undoing = case.step in UNDO
        stop = tap.hold("dump" if undoing else case.step, "after" if undoing else case.phase)
        command = self.migrate(case.kind, case.strategy)
        mend = None
        try:
            if undoing and stop.reached.wait(REACHED):
                call(self.hosts.lab, 3, "DELETE", f"/containers/{self.ids[case.kind]}/migrate")
                before, stop = stop, tap.hold("forget" if case.step == "forgotten" else case.step, case.phase)
                self.loop.call(before.go.set)
            if not stop.reached.wait(REACHED):
                outcome.wrong.append("the step was not reached")
            else:
                time.sleep(random.Random(str(case)).uniform(0, 0.05) if case.phase == "during" else 0)
                mend = faults.do(self.hosts, case.fault, source, target)
        finally:
            tap.let_go()
            if mend is not None:
                faults.wait(case.fault)
                mend()
        outcome.said = command.end(ENDED)
        if outcome.said == "it does not end":
            outcome.wrong.append("the client's request does not end")
        outcome.steps = command.steps
        may_die = case.fault.what == "power" or (case.strategy == "post-copy" and case.fault.what == "mover")
        outcome.wrong += watch.until(lambda: self.settled(case.kind), SETTLE)
        if found := twice.end():
            outcome.wrong.append(f"it ran on both hosts at once, in {found} samples")
        outcome.where = "stays" if self.at[case.kind] == source else "moved"
        if case.settled and outcome.where == "stays":
            outcome.wrong.append("it is at its source, and was the target's")
        outcome.settled = time.monotonic() - begun
        outcome.wrong += outcome.wrong or self._after(case, source, may_die)
        outcome.seconds = time.monotonic() - begun
        return outcome

    def _after(self, case: Case, source: int, may_die: bool) -> list[str]:
        """Then it can be moved again; what died with its host is made anew."""
        kind = case.kind
        lost = case.fault.what == "power" and self.at[kind] == (source if case.fault.where == "source" else 3 - source)
        lost = lost or case.fault.what == "mover"
        _, state = watch.shown(self.hosts, 3, self.ids[kind])
        if may_die and lost and state != "running":
            if wrong := self.judged(kind, alive=False):
                return wrong
            self.make(kind)
            return []
        return self.judged(kind, alive=True) or self.clean(kind)


@contextmanager
def world(redis: bool = True) -> Iterator[World]:
    """The lab. Each host's disk is of a fixed size, in memory."""
    with tempfile.TemporaryDirectory(prefix="movefaults") as folder:
        place = Path(folder) / Path(folder).name
        homes = [place / str(number) for number in (1, 2, 3)]
        for home in homes:
            home.mkdir(parents=True)
            hostmounts.mount("disk", home, "tmpfs", 0, f"size={DISK},mode=711")
        loop, lab = Loop(), Lab.up(place, 3)
        made = World(Hosts(lab), loop, {})
        try:
            _fill(made, redis)
            yield made
        finally:
            if made.client is not None:
                made.client.end()
            for tap in made.taps.values():
                tap.close()
            for bus in made.buses.values():
                loop.run(bus.close())
            loop.close()
            for number, home in zip((1, 2, 3), homes, strict=True):
                lab.kill(number)
                hostmounts.unmount(home)
            lab.down()


def _fill(made: World, redis: bool) -> None:
    hosts = made.hosts
    for number in (1, 2, 3):
        hosts.shoal_ok(number, "up")
    hosts.load()
    hosts.init()
    hosts.join(2)
    hosts.join(3)
    if redis:
        for number, recipe in ((1, REDIS), (2, REDIS)):
            hosts.docker(number, "load", "-q", "-i", str(archive(recipe)))
        hosts.docker(1, "network", "create", "-d", "overlay", "--attachable", "net")
        for number in (1, 2, 3):
            on = ("--label", f"shoal.node=node{number}", "--network", "net", "--name", f"probe{number}")
            hosts.docker(number, "run", "-d", *on, "busybox", "sleep", "1000000")
    made.buses[3] = made.loop.run(_bus(hosts, 3))


async def _bus(hosts: Hosts, number: int) -> Bus:
    """The operator's connection to a host's broker, whenever that is there."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            theirs, to = await reach(hosts, number, int(broker_port(hosts, number).read_text()))
        except (OSError, ValueError, FailedPrecondition):
            writer.close()
            return

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await source.read(1 << 16):
                    sink.write(data)
                    await sink.drain()
            sink.close()

        await asyncio.gather(copy(reader, to), copy(theirs, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    state = hosts.lab.plan.home(number) / "state"
    bus, _ = await connect(Settings(state_dir=str(state), nats_url=f"nats://127.0.0.1:{port}"), "tool")
    return bus
