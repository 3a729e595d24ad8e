"""A tap between a host's migrator and its broker: it sees each step of a migration begin, and can hold it there.

The migrator is the engine's own, started by its supervisor; only the broker's port that it reads at its start is this
tap's. Its messages are NATS' (https://docs.nats.io/reference/reference-protocols/nats-protocol).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from services.network.adapters import namespaces
from shared.errors import FailedPrecondition
from tests.support.cluster import Hosts

Phase = Literal["before", "during", "after"]
"""Before a step's request reaches the broker; when it was just sent; when the answer has come, and is not delivered."""
T = TypeVar("T")
_WITH_BODY = (b"PUB", b"HPUB", b"MSG", b"HMSG")
_STEPS = {b"sync_out": "copy"}
"""What a step is called whose first request has another name."""
SECONDS = 20.0


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def call(self, what: Any) -> None:
        self._loop.call_soon_threadsafe(what)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass
class Stop:
    """Where the migrator is to be held. `reached`: it is there, and goes on when it is let go."""

    step: str
    phase: Phase
    reached: threading.Event = field(default_factory=threading.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    answer: bytes = b""
    """The subject at which the step's answer comes."""


def step_of(words: list[bytes], message: bytes) -> str:
    """The step that a message of the migrator's begins; empty: none."""
    if words[0] not in (b"PUB", b"HPUB"):
        return ""
    tokens = words[1].split(b".")
    if b"$KV" in tokens and b"migrations" in tokens:
        for phase, step in ((b'"switched"', "switch"), (b'"aborting"', "revoke"), (b"KV-Operation", "forget")):
            if phase in message:
                return step
        return "claim"
    return _STEPS.get(tokens[-1], tokens[-1].decode()) if tokens[0] == b"shoal" else ""


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[tuple[list[bytes], bytes]]:
    """The words of each line, and all bytes of it."""
    while line := await reader.readline():
        words = line.split()
        more = int(words[-1]) + 2 if words and words[0] in _WITH_BODY else 0
        yield words, line + await reader.readexactly(more)


def broker_port(hosts: Hosts, number: int) -> Path:
    return hosts.lab.plan.home(number) / "state/broker/port"


async def reach(hosts: Hosts, number: int, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to a port of a host's loopback."""
    network = Path(hosts.lab.host(number).network)
    made = await asyncio.to_thread(namespaces.inside, network, partial(socket.create_connection, ("127.0.0.1", port)))
    made.setblocking(False)
    return await asyncio.open_connection(sock=made)


class Tap:
    """Of one host."""

    def __init__(self, loop: Loop, hosts: Hosts, number: int) -> None:
        self._loop, self._hosts, self._number = loop, hosts, number
        self._server: asyncio.Server | None = None
        self._port = self._own = 0
        self._stop: Stop | None = None
        self._connected = threading.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        """Whether the host's migrator speaks through it."""
        return self._connected.is_set()

    def open(self) -> None:
        """From now on the host's migrator, a new one, speaks through it."""
        self.close()
        path = broker_port(self._hosts, self._number)
        self._port = int(path.read_text())
        network = Path(self._hosts.lab.host(self._number).network)
        listener = namespaces.inside(network, partial(socket.create_server, ("127.0.0.1", 0)))
        self._own = listener.getsockname()[1]
        self._loop.run(self._listen(listener))
        try:
            _replace(path, self._own)
            kill(self._hosts, self._number, "migrator")
            if not self._connected.wait(SECONDS):
                raise FailedPrecondition(f"the migrator of host {self._number} does not come to its tap")
        finally:
            _replace(path, self._port)

    async def _listen(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_server(self._serve, sock=listener)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_broker, to_broker = await reach(self._hosts, self._number, self._port)
        except (OSError, FailedPrecondition):
            writer.close()
            return
        both = {writer, to_broker}
        self._writers |= both
        up, down = self._up(reader, to_broker), self._down(from_broker, writer)
        ways = [asyncio.ensure_future(way) for way in (up, down)]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connected.clear()
            for way in ways:
                way.cancel()
            self._writers -= both
            for each in both:
                each.close()

    async def _up(self, reader: asyncio.StreamReader, broker: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async for words, message in _messages(reader):
                if words[:1] == [b"CONNECT"] and json.loads(message[8:]).get("name") == "migrator":
                    self._connected.set()
                stop = self._stop
                if stop is not None and words and step_of(words, message) == stop.step and not stop.go.is_set():
                    if stop.phase == "before":
                        self._hold(stop, broker, message)
                        continue
                    stop.answer = stop.answer or words[2]
                    if stop.phase == "during":
                        stop.reached.set()
                broker.write(message)
                await broker.drain()

    async def _down(self, reader: asyncio.StreamReader, migrator: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async for words, message in _messages(reader):
                stop = self._stop
                if stop is not None and stop.phase == "after" and words[1:2] == [stop.answer] and not stop.go.is_set():
                    self._hold(stop, migrator, message)
                    continue
                migrator.write(message)
                await migrator.drain()

    def _hold(self, stop: Stop, to: asyncio.StreamWriter, message: bytes) -> None:
        """All that is said besides passes."""

        async def later() -> None:
            await stop.go.wait()
            with contextlib.suppress(OSError, RuntimeError):
                to.write(message)

        task = asyncio.ensure_future(later())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        stop.reached.set()

    def hold(self, step: str, phase: Phase) -> Stop:
        """The next time that the migrator comes to that step it is held."""
        self._stop = Stop(step, phase)
        return self._stop

    def let_go(self) -> None:
        if self._stop is not None:
            self._loop.call(self._stop.go.set)
            self._stop = None

    def close(self) -> None:
        """What was connected is cut."""
        self.let_go()
        self._loop.run(self._close())

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.close()
        self._connected.clear()


def _replace(path: Path, port: int) -> None:
    temporary = path.with_name(".port.tap")
    temporary.write_text(f"{port}\n")
    temporary.replace(path)


def kill(hosts: Hosts, number: int, process: str) -> None:
    """SIGKILL to one of the engine's processes."""
    record = Path(f"/proc/{hosts.lab.host(number).pid}/root/run/shoal/engine/{process}.json")
    if record.exists():
        hosts.run(number, "kill", "-9", str(json.loads(record.read_text())["pid"]))
