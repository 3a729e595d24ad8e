"""`shoal migrate`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from shared import config
from shared.errors import FailedPrecondition, InvalidArgument, Unavailable

from . import api
from .options import Config

STRATEGIES = ("auto", "post-copy", "copy", "cold")


def command(
    container: Annotated[str, typer.Argument(help="Name or id, as any Docker client takes it.")],
    node: Annotated[str, typer.Argument(help="The host to go to, by name or id. Without: the scheduler chooses.")] = "",
    strategy: Annotated[str, typer.Option(help="auto, post-copy, copy or cold.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    driver: Annotated[str, typer.Option(help="Who moves the memory; without: the engine's own.")] = "",
    accept_risk: Annotated[bool, typer.Option("--accept-risk", help="Allow auto to choose post-copy.")] = False,
    kill_execs: Annotated[
        bool, typer.Option("--kill-execs", help="End what `docker exec` runs in it, instead of refusing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what the API says, line by line.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Break off a migration that is under way.")] = False,
    config_file: Config = None,
) -> None:
    """Move a container to another host of the cluster, with its writable layer, its volumes and its log.

    \b
        shoal migrate web node2 --dry-run     what it would take, or the reasons why it cannot be
        shoal migrate web node2
        shoal migrate web                     to the host that a new one would be made on
        shoal migrate db node2 --strategy cold

    Files are copied while it runs; what changed since goes when it stands still. Its name, id, restart counter, health
    and log stay as they are, and any host's socket goes on to serve it.

    \b
    copy        memory is sent while it runs, the rest while it stands still; connections on overlay networks go on
    post-copy   stands still shortest; the rest of the memory follows while it runs at the new host already. Should the
                old host die within these seconds, its processes are lost: that is the risk to accept
    cold        it is stopped, and started at the new host: `docker restart` with a journey. For whatever cannot move
                running; a container that does not run moves so without being started

    auto moves what runs by copy (with --accept-risk by post-copy), and never stops it. If anything fails before the
    last moment, the container goes on where it is as if nothing had been; after it, at the new host. What is tied to
    a host stays: bind mounts, devices, volumes that other containers have, networks that exist there only.

    The same by the API: POST /containers/{id}/migrate (gateway/README.md).
    """  # noqa: D301  # a backspace: the lines after it are shown as they are
    check(strategy)
    path = config.load(config_file).socket_path
    target = f"/containers/{quote(container, safe='')}/migrate"
    if cancel:
        api.call(path, "DELETE", target)
        return
    wanted = {
        "Node": node, "Strategy": strategy, "Driver": driver, "AcceptRisk": accept_risk, "KillExecs": kill_execs,
        "DryRun": dry_run,
    }  # fmt: skip
    if dry_run:
        plan = api.call(path, "POST", target, msgspec.json.encode(wanted))
        print(msgspec.json.encode(plan).decode() if as_json else shown(plan))
        return
    for line in moved(path, target, wanted, as_json):
        print(line, flush=True)


def check(strategy: str) -> None:
    """Raises `InvalidArgument` for one that there is not."""
    if strategy not in STRATEGIES:
        raise InvalidArgument(f"no strategy is called {strategy!r}; there are: {', '.join(STRATEGIES)}")


def moved(path: Path, target: str, wanted: dict[str, Any], as_json: bool = False) -> Iterator[str]:
    """What to tell while it is done. Raises `FailedPrecondition` when the container stays, `Unavailable` when that is
    not told: whoever coordinated it has died, and the next one completes it or takes it back.
    """
    ended = False
    for line in api.lines(path, "POST", target, msgspec.json.encode(wanted)):
        told = msgspec.json.decode(line)
        if as_json:
            yield line.decode().rstrip()
        ended = "result" in told
        if "error" in told:
            raise FailedPrecondition(f"the container stays where it is: {told['error']}")
        if as_json:
            continue
        if "plan" in told:
            yield f"to {told['plan']['Node']['Name']}, {told['plan']['Strategy']}: {told['plan']['Why']}"
            for warning in told["plan"]["Warnings"]:
                print(f"note: {warning}", file=sys.stderr)
        elif "result" in told:
            yield figures(told["result"])
        elif "step" in told:
            yield step(told)
    if not ended:
        raise Unavailable("the migrator was interrupted: its next start completes the migration or takes it back")


def step(told: dict[str, Any]) -> str:
    """One line of progress."""
    sent = f"  {size(told['bytes'])}" if told.get("bytes") else ""
    failed = f"  {told['text']}" if told.get("text") else ""
    mark = "<- " if told.get("undo") else "   "
    return f"{mark}{told['step']:<10}{told.get('ms', 0):8.0f} ms{sent}{failed}"


def figures(result: dict[str, Any]) -> str:
    """How it went."""
    sent = result.get("file_bytes", 0) + result.get("memory_bytes", 0)
    still = f"stood still for {result['freeze_ms']:.0f} ms, " if result.get("freeze_ms") else ""
    return f"done: {still}{result.get('total_ms', 0):.0f} ms in all, {size(sent)} sent"


def shown(plan: dict[str, Any]) -> str:
    """A plan for people."""
    lines = [f"to {plan['Node']['Name']}, {plan['Strategy']}: {plan['Why']}"]
    if plan["Reasons"]:
        lines += ["it cannot be migrated so:", *(f"  {reason}" for reason in plan["Reasons"])]
    else:
        lines.append(
            f"about {plan['TotalMilliseconds'] / 1000:.1f} s, standing still for {plan['FreezeMilliseconds']} ms, "
            f"{size(plan['Bytes'])} to send"
        )
    return "\n".join([*lines, *(f"note: {warning}" for warning in plan["Warnings"])])


def size(count: int) -> str:
    """Bytes for people."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"
