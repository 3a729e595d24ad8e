"""`shoal cluster` and `shoal node`: the commands."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal, TypeVar

import msgspec
import typer

from shared import cluster, config, ids
from shared.cluster import DEFAULT_PORT, Place
from shared.config import Settings
from shared.contracts.base import Empty, Endpoint, Message
from shared.contracts.scheduler import (
    LIST,
    REMOVE,
    TOKEN,
    UPDATE,
    Node,
    RemoveNodeRequest,
    TokenRequest,
    UpdateRequest,
)
from shared.errors import FailedPrecondition, NotFound
from shared.joining import Token
from shared.service import connect
from tools.shoal.migrate import check
from tools.shoal.options import Config

from . import draining, membership
from . import provision as provisioning

NO_CLUSTER = "this host is in no cluster; first: shoal cluster init, or shoal node join"
TOKEN_SECONDS = 600

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)

clusters = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Make a cluster of hosts.

\b
    shoal cluster init --address 192.0.2.1         # on the first host
    shoal cluster token                            # prints what to type on the next one
    shoal node join 192.0.2.1 --token SHOAL-1-...  # there
    shoal node ls
""",
)
nodes = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The hosts of this host's cluster.")
Named = Annotated[str, typer.Argument(metavar="NODE", help="A host's name or id.")]
Address = Annotated[
    str,
    typer.Option(
        "--address",
        help=f"Where other hosts reach this one: HOST or HOST:PORT ({DEFAULT_PORT} and the two ports after it).",
    ),
]


@clusters.command()
def init(address: Address, config_file: Config = None) -> None:
    """Make this host the first of a new cluster. Its containers go on.

    The cluster gets a certificate authority of its own, kept in <state_dir>/cluster.
    """
    made = membership.init(config.load(config_file), Place.parse(address))
    print(f"This host is the first of the cluster {made.cluster}. To let another in, type here: shoal cluster token")


@clusters.command()
def token(
    seconds: Annotated[int, typer.Option("--ttl", help="Seconds until it expires.")] = 3600,
    many: Annotated[bool, typer.Option("--many", help="Let in any number of hosts until then, not one.")] = False,
    config_file: Config = None,
) -> None:
    """Make a token that lets one host into the cluster, and print what to type there.

    A token is a secret. It also names the cluster's authority: a host that joins by it cannot be misled.
    """
    made = asyncio.run(_call(config.load(config_file), TOKEN, TokenRequest(seconds=seconds, once=not many)))
    print(f"shoal node join {made.place} --token {made.token} --address ITS-ADDRESS")


@nodes.command()
def join(
    hub: Annotated[str, typer.Argument(metavar="HUB", help="Address of a hub, as `shoal cluster token` prints it.")],
    token: Annotated[str, typer.Option("--token", envvar="SHOAL_TOKEN", help="What `shoal cluster token` printed.")],
    address: Address,
    config_file: Config = None,
) -> None:
    """Make this host a member of a cluster. Its containers go on."""
    made = membership.join(config.load(config_file), Place.parse(hub), Token.parse(token), Place.parse(address))
    print(f"This host is in the cluster {made.cluster}. See: shoal node ls")


@nodes.command()
def provision(
    target: Annotated[str, typer.Argument(metavar="ssh://root@HOST", help="Where ssh is to go; also with :PORT.")],
    address: Annotated[str, typer.Option("--address", help="Where other hosts reach it (default: HOST).")] = "",
    directory: Annotated[
        str, typer.Option("--directory", help="Where the checkout goes there.")
    ] = provisioning.DIRECTORY,
    config_file: Config = None,
) -> None:
    """Install the engine on another machine over ssh, and make it a host of this cluster.

    Copies this checkout, runs deploy/up there and joins by a token. May be repeated: what is done stays as it is, and
    another checkout replaces the one there (its engine begins anew, containers go on). ssh's own configuration, keys
    and check of host keys count.
    """
    settings = config.load(config_file)
    present = cluster.load(settings.state_path)
    if present is None:
        raise FailedPrecondition(NO_CLUSTER)
    there = provisioning.Target.parse(target)
    remote = provisioning.Remote(there, directory)
    place = Place.parse(address or (f"[{there.host}]" if ":" in there.host else there.host))

    def made() -> str:
        return asyncio.run(_call(settings, TOKEN, TokenRequest(seconds=TOKEN_SECONDS, once=True))).token

    remote.check()
    remote.copy()
    remote.install()
    remote.join(present, made, str(place))
    print(f"{there.host} is in the cluster {present.cluster}. See: shoal node ls")


@nodes.command()
def ls(
    config_file: Config = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The records of the hosts, and whether each is ready.")
    ] = False,
) -> None:
    """List the hosts of the cluster. STATUS is Ready when the host answers now, else Down."""
    found = asyncio.run(_call(config.load(config_file), LIST, Empty())).nodes
    print(msgspec.json.encode(found).decode() if as_json else table(found))


@nodes.command()
def inspect(node: Named, config_file: Config = None) -> None:
    """Show a host's record as JSON: its labels, availability, and what it says of itself."""
    found = asyncio.run(_call(config.load(config_file), LIST, Empty())).nodes
    shown = [one for one in found if node in (one.record.id, one.record.name)]
    if not shown:
        raise NotFound(f"node {node} not found")
    told = msgspec.to_builtins(shown[0].record) | {"ready": shown[0].ready}
    print(msgspec.json.format(msgspec.json.encode(told)).decode())


@nodes.command()
def update(
    node: Named,
    label_add: Annotated[list[str] | None, typer.Option("--label-add", help="KEY=VALUE, for constraints.")] = None,
    label_rm: Annotated[list[str] | None, typer.Option("--label-rm", help="A label's name.")] = None,
    availability: Annotated[
        Literal["active", "pause", "drain"] | None, typer.Option(help="Only an active host gets new containers.")
    ] = None,
    config_file: Config = None,
) -> None:
    """Set a host's labels and whether it gets new containers. Its containers go on."""
    labels = dict(text.partition("=")[::2] for text in label_add or ())
    asked = UpdateRequest(node=node, labels=labels, without=tuple(label_rm or ()), availability=availability)
    print(asyncio.run(_call(config.load(config_file), UPDATE, asked)).name)


@nodes.command()
def drain(
    node: Named,
    move: Annotated[bool, typer.Option("--migrate", help="Move its containers to other hosts.")] = False,
    strategy: Annotated[str, typer.Option(help="As `shoal migrate` has them: auto, post-copy, copy or cold.")] = "auto",
    accept_risk: Annotated[bool, typer.Option("--accept-risk", help="Allow auto to choose post-copy.")] = False,
    kill_execs: Annotated[bool, typer.Option("--kill-execs", help="End what `docker exec` runs in them.")] = False,
    config_file: Config = None,
) -> None:
    """Give a host no new containers, and tell which it has. They stay, or with --migrate move to other hosts.

    One after the other goes where a new one like it would be made. What cannot move stays, and is told with its
    reasons; the exit code is then 1. May be broken off (a move under way goes on) and done again: what is left is
    taken up. Containers that run are not stopped for it unless asked for by --strategy cold.

    Taken back by: shoal node update NODE --availability active
    """
    check(strategy)
    settings, stays = config.load(config_file), dict[str, str]()
    name = asyncio.run(_call(settings, UPDATE, UpdateRequest(node=node, availability="drain"))).name
    if move:
        wanted = {"Strategy": strategy, "AcceptRisk": accept_risk, "KillExecs": kill_execs}
        for line in draining.emptied(settings.socket_path, name, wanted, stays):
            print(line, flush=True)
    left = draining.containers(settings.socket_path, name)
    print(draining.remaining(name, left, stays if move else None))
    if move and left:
        raise typer.Exit(1)


@nodes.command()
def rm(
    node: Named,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Though it is not drained, has containers, or does not answer.")
    ] = False,
    config_file: Config = None,
) -> None:
    """Take a host out of the cluster, at once and for good: it is not let in again without a new token.

    Its containers go on there, and it becomes a host alone when it hears of this. What the others know of it goes.
    """
    print(asyncio.run(_call(config.load(config_file), REMOVE, RemoveNodeRequest(node=node, force=force))).name)


@nodes.command()
def leave(
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Though it is not drained, has containers, or is cut off.")
    ] = False,
    config_file: Config = None,
) -> None:
    """Make this host a host alone again. Its containers go on.

    A host that is cut off leaves by --force; the others then have to be told, too: shoal node rm NODE.
    """
    settings = config.load(config_file)
    asked = RemoveNodeRequest(node=ids.node_id(settings.state_path), force=force)
    membership.leave(settings, lambda: asyncio.run(_call(settings, REMOVE, asked)), force)
    print("This host is in no cluster any more.")


def table(found: tuple[Node, ...]) -> str:
    """The hosts for people."""
    rows = [("ID", "NAME", "STATUS", "ROLE", "ADDRESS")]
    rows += [
        (one.record.id, one.record.name, "Ready" if one.ready else "Down", one.record.role, one.record.address)
        for one in found
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


async def _call(settings: Settings, endpoint: Endpoint[Q, A], request: Q) -> A:
    if cluster.load(settings.state_path) is None:
        raise FailedPrecondition(NO_CLUSTER)
    bus, _ = await connect(settings, "tool")
    try:
        return await bus.call(endpoint, request)
    finally:
        await bus.close()
