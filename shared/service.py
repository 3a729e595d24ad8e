"""Running one engine service: connect, build, check, serve until SIGTERM, drain."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from shared import cluster, ids, logs, proxies, resting, telemetry
from shared.bus import Bus, NatsTransport, wire
from shared.bus.server import Server
from shared.config import Settings
from shared.contracts import CONTRACTS
from shared.contracts.base import Contract
from shared.errors import InvalidArgument, ShoalError, Unavailable
from shared.memory import Rest
from shared.spans import SpanSender
from shared.state import NatsState, State
from shared.state.streams import ensure
from shared.streams import Streams
from shared.tasks import TaskGroup

log = logging.getLogger(__name__)

followed = False
"""Whether another process takes this one's place when it ends: whoever starts services says so."""

rested: Callable[[], None] | None = None
"""Called when this process has ended in order, of one that ends when it has nothing to do, and whose place nobody takes
before it is called (`shared.resting`). None for a process that stays."""

PATIENCE = 5.0
"""Seconds a stopping service takes to end the requests it has."""


class _End(Enum):
    """Why a process ends."""

    TOLD = "it was told to"
    LOST = "the broker ended the connection"
    AT_REST = "a burst has left it large, or it may rest, and it has nothing to do"


@dataclass
class Kernel:
    """What a service gets: its settings and its connections."""

    settings: Settings
    node: str
    bus: Bus
    state: State
    streams: Streams
    clustered: bool = False
    """This host is in a cluster."""
    tasks: TaskGroup = field(default_factory=lambda: TaskGroup("service"))

    @staticmethod
    def span(name: str, **attributes: Any) -> AbstractContextManager[Any]:
        """A host action inside the present trace; see `shared.telemetry.span`."""
        return telemetry.span(name, **attributes)


Build = Callable[[Kernel], Awaitable[Any]]


def broker_url(settings: Settings) -> str:
    """Where the broker is: as set, or the embedded one's port as its starter left it in the state folder."""
    if settings.nats_url:
        return settings.nats_url
    path = settings.state_path / "broker" / "port"
    try:
        port = settings.nats_port or int(path.read_text())
    except (FileNotFoundError, ValueError):
        raise InvalidArgument(f"no broker: {path} is missing and nats_url is not set; start one by: shoal up") from None
    return f"nats://127.0.0.1:{port}"


def key_file(settings: Settings, service: str) -> Path | None:
    """The nkey seed of a service, where there is one."""
    path = settings.state_path / "keys" / f"{service}.nk"
    return path if path.exists() else None


async def connect(settings: Settings, name: str) -> tuple[Bus, NatsState]:
    """A bus and a store under a service's own identity."""
    transport = await NatsTransport.connect(broker_url(settings), name, key_file(settings, name))
    bus = Bus(transport, ids.node_id(settings.state_path), name)
    bus.want = partial(resting.want, settings)
    await bus.open()
    owned = CONTRACTS[name].owns if name in CONTRACTS else ()
    return bus, NatsState(bus, agreed_domain(settings), owned)


def agreed_domain(settings: Settings) -> str:
    """The JetStream domain of what all hosts agree on: the hubs', or empty: this host's own."""
    return cluster.HUB_DOMAIN if cluster.load(settings.state_path) else ""


def prepare() -> None:
    """Makes what every service would make for itself: for a process that forks them."""
    for contract in CONTRACTS.values():
        for endpoint in contract.endpoints:
            wire.prepare(endpoint.request)
            wire.prepare(endpoint.reply)
    telemetry.prepare()


def serve(contract: Contract, build: Build, settings: Settings, ready: Callable[[], None]) -> None:
    """Runs a service until SIGTERM or SIGINT. `ready` is called once it answers.

    Ends the process with exit code 1 when it cannot start, or when its connection to the broker is lost for good.
    """
    import uvloop  # here: the parent of forked services never makes a loop

    logs.configure(settings.log_level)
    proxies.put_into(os.environ, settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_serve(contract, build, settings, ready))
        except asyncio.CancelledError:
            log.info("%s was told to end before it served", contract.name)
        except ShoalError as error:
            log.critical("%s: %s", contract.name, error)
            raise SystemExit(1) from None


async def _serve(contract: Contract, build: Build, settings: Settings, ready: Callable[[], None]) -> None:
    starting = asyncio.current_task()
    assert starting is not None
    _on_signals(starting.cancel)
    ends: asyncio.Queue[_End] = asyncio.Queue()
    kernel, spans = await _kernel(contract, settings)
    implementation = await build(kernel)
    servers = [Server(kernel.bus, contract, implementation), *_drivers(kernel, implementation)]
    rest = Rest(partial(ends.put_nowait, _End.AT_REST), any_size=rested is not None)
    spans.worked = rest.worked
    await _hook(contract, implementation, "open", "start")
    for server in servers:
        await server.open()
    _on_signals(partial(ends.put_nowait, _End.TOLD))
    kernel.bus.transport.on_lost(partial(ends.put_nowait, _End.LOST))
    log.info("%s serves on node %s", contract.name, kernel.node)
    ready()
    rest.begin()
    end = await _until_end(ends, servers, partial(_at_rest, kernel, servers, implementation))
    log.info("%s ends: %s", contract.name, end.value)
    await asyncio.gather(*(server.close(PATIENCE) for server in servers))
    await _hook(contract, implementation, "close")
    await _close(kernel, spans)
    if end is _End.LOST:
        raise Unavailable(end.value)
    if rested is not None:
        rested()


async def _kernel(contract: Contract, settings: Settings) -> tuple[Kernel, SpanSender]:
    bus, state = await connect(settings, contract.name)
    spans = SpanSender(bus)
    telemetry.configure(contract.name, bus.node, spans.add)
    state.layers.kept = await ensure(bus, agreed_domain(settings))
    streams = Streams(bus, settings.run_path / "streams", contract.name, settings.state_path)
    await streams.open()
    return Kernel(settings, bus.node, bus, state, streams, bool(agreed_domain(settings))), spans


def _drivers(kernel: Kernel, implementation: Any) -> list[Server]:
    """What serves the drivers that it has besides: contract, node and object of each."""
    return [Server(kernel.bus, contract, made, node) for contract, node, made in getattr(implementation, "drivers", ())]


async def _until_end(ends: asyncio.Queue[_End], servers: Sequence[Server], at_rest: Callable[[], bool]) -> _End:
    """Why it ends. One that is at rest takes no more requests then; who was sent one meanwhile is not at rest."""
    while (end := await ends.get()) is _End.AT_REST:
        if at_rest():
            await asyncio.gather(*(server.withdraw() for server in servers))
            if at_rest():
                break
            await asyncio.gather(*(server.listen() for server in servers))
    return end


def _at_rest(kernel: Kernel, servers: Sequence[Server], implementation: Any) -> bool:
    """Whether nobody would notice if this process, which another one follows, ended."""
    at_rest = getattr(implementation, "at_rest", None)
    return (
        followed
        and at_rest is not None
        and at_rest()
        and all(each.at_rest for each in servers)
        and kernel.streams.at_rest
    )


async def _close(kernel: Kernel, spans: SpanSender) -> None:
    await kernel.tasks.close()
    await kernel.streams.close()
    await kernel.state.close()
    telemetry.shutdown()
    await spans.close()
    await kernel.bus.close()


def _on_signals(callback: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, callback)


async def _hook(contract: Contract, implementation: Any, *names: str) -> None:
    """Calls the first lifecycle method there is. An operation of the same name is none."""
    operations = {endpoint.operation for endpoint in contract.endpoints}
    for name in names:
        method = getattr(implementation, name, None)
        if method is not None and name not in operations:
            await method()
            return
