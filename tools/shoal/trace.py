"""`shoal trace`."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import msgspec
import typer

from shared import cluster, config
from shared.bus import Bus
from shared.clock import rfc3339
from shared.config import Settings
from shared.contracts.base import Empty
from shared.contracts.scheduler import LIST, Node
from shared.errors import NotFound, ShoalError
from shared.service import connect
from shared.state.replay import replay
from shared.state.streams import SPANS
from shared.telemetry import SPANS_SUBJECT, SpanRecord

from . import api, spans
from .options import Config

SHOWN = 20


def command(
    what: Annotated[
        str, typer.Argument(help="A container (name, or begin of its id) or the begin of a trace's id.")
    ] = "",
    config_file: Config = None,
    most: Annotated[int, typer.Option("-n", help="How many traces to show, the newest.")] = SHOWN,
    as_json: Annotated[bool, typer.Option("--json", help="The spans themselves, one a line.")] = False,
) -> None:
    """Show where time went: every hop of every call, and every action on the host.

    Without an argument: the newest traces, one a line. With a container: all that was asked of it, each as a tree;
    `docker run` is a creation, an attachment, a wait and a start. Left: when a step began and how long it took,
    in milliseconds; a line without [service] is the caller's side of the line below it. What went over several hosts
    of a cluster is one tree; each line tells the host. Each host keeps its part: that of one that is away is missing.

    Spans are kept for a day, at most 32 MB of them. They also go to the collector that
    OTEL_EXPORTER_OTLP_ENDPOINT names, when it is set for the engine.
    """
    settings = config.load(config_file)
    stored, hosts = asyncio.run(_read(settings))
    found = spans.traces(stored)
    if what:
        found = spans.about(found, _id(settings, what)) or spans.about(found, what)
        if not found:
            raise NotFound(f"no trace of {what}; it may be too old, see all by: shoal trace")
    found = found[-most:]
    if as_json:
        for trace in found:
            for span in trace.spans:
                print(msgspec.json.encode(span).decode())
    elif what:
        _print_trees(found, hosts)
    else:
        _print_list(found)


def _print_list(found: list[spans.Trace]) -> None:
    print(spans.HEADING)
    for trace in found:
        print(spans.summary(trace, _when(trace)))


def _print_trees(found: list[spans.Trace], hosts: dict[str, str]) -> None:
    print(spans.TREE_HEADING)
    for trace in found:
        print(f"\ntrace {trace.id}, {_when(trace)}")
        print("\n".join(spans.lines(trace, hosts)))


def _when(trace: spans.Trace) -> str:
    return rfc3339(trace.start // spans.MILLISECOND * spans.MILLISECOND)


def _id(settings: Settings, what: str) -> str:
    """The full id where `what` names a container that exists; one that is gone is found by its id alone."""
    try:
        return str(api.call(settings.socket_path, "GET", f"/containers/{what}/json")["Id"])
    except ShoalError:
        return what


async def _read(settings: Settings) -> tuple[list[SpanRecord], dict[str, str]]:
    """What is stored, in a cluster by all hosts that are there, and the names of its hosts."""
    bus, state = await connect(settings, "tool")
    try:
        hosts = await _hosts(bus) if cluster.load(settings.state_path) else ()
        others = [one.record.id for one in hosts if one.ready and one.record.id != bus.node]
        own, *theirs = await asyncio.gather(_stored(bus), *(_others(bus, host) for host in others))
        kept = {span.span_id: span for part in (own, *theirs) for span in part}
        return list(kept.values()), {one.record.id: one.record.name for one in hosts}
    finally:
        await state.close()
        await bus.close()


async def _stored(bus: Bus, host: str = "") -> list[SpanRecord]:
    kept: list[SpanRecord] = []
    async for delivery in replay(bus, SPANS, SPANS_SUBJECT, host=host):
        kept += msgspec.json.decode(delivery.payload, type=list[SpanRecord])
    return kept


async def _others(bus: Bus, host: str) -> list[SpanRecord]:
    try:
        return await _stored(bus, host)
    except ShoalError as error:
        print(f"{host}: {error.message}", file=sys.stderr)
        return []


async def _hosts(bus: Bus) -> tuple[Node, ...]:
    try:
        return (await bus.call(LIST, Empty())).nodes
    except ShoalError:
        return ()
