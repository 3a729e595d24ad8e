"""`shoal lab`: the commands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from .lab import PROGRAMS, Lab
from .plan import address, host_name

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Several hosts on one machine, to try clusters.

Each host has its own network, mounts, processes and disk, and may be killed or cut off. Needs root.

\b
    shoal lab up --nodes 3               # three hosts, joined by a switch
    shoal lab sh 1 -- shoal up           # an engine on the first
    shoal lab sh 1 -- docker ps          # Docker clients find the engine of the host they run on
    shoal lab cut 1 2                    # no packet passes between two hosts; mend takes it back
    shoal lab kill 3                     # a power cut; start switches the host on again
    shoal lab down                       # nothing is left
""",
)
Folder = Annotated[
    Path,
    typer.Option(
        "--folder", envvar="SHOAL_LAB", help="Where the lab keeps its hosts' disks; another lab, another folder."
    ),
]
Number = Annotated[int, typer.Argument(metavar="NODE", help="A host's number, from 1.")]
DEFAULT = Path("/var/lib/shoal-lab")


@app.command()
def up(
    nodes: Annotated[int, typer.Option("--nodes", help="How many hosts.")] = 3,
    folder: Folder = DEFAULT,
) -> None:
    """Make a lab, or switch on the hosts of the one that is there. No engine is started."""
    made = Lab.up(folder, nodes)
    for number in made.plan.numbers:
        print(f"{number}  {host_name(number)}  {address(number)}")
    print("\n    shoal lab sh 1 -- shoal up    # an engine on the first host")


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def sh(
    node: Number,
    command: Annotated[list[str] | None, typer.Argument(help="A program and its arguments; none: a shell.")] = None,
    folder: Folder = DEFAULT,
) -> None:
    """Run a program on a host, as its root, with its engine's settings and DOCKER_HOST set."""
    lab = Lab.found(folder)
    program = [*(command or ())]
    if program[:1] == ["--"]:
        del program[0]
    words = lab.host(node).command(program or [os.environ.get("SHELL", "sh")])
    path = f"{folder / PROGRAMS}:{os.environ.get('PATH', os.defpath)}"
    os.execvpe(words[0], words, {**os.environ, "PATH": path, **lab.plan.environment(node)})


@app.command()
def cut(node: Number, other: Number, folder: Folder = DEFAULT) -> None:
    """Cut the line between two hosts: packets are lost both ways, and nobody is told."""
    Lab.found(folder).cut(node, other)


@app.command()
def mend(node: Number, other: Number, folder: Folder = DEFAULT) -> None:
    """Mend a line that was cut."""
    Lab.found(folder).mend(node, other)


@app.command()
def kill(node: Number, folder: Folder = DEFAULT) -> None:
    """Cut a host's power: all its processes end at once; its disk stays."""
    Lab.found(folder).kill(node)


@app.command()
def start(node: Number, folder: Folder = DEFAULT) -> None:
    """Switch a host on that was killed. Its engine is started by: shoal lab sh NODE -- shoal up"""
    Lab.found(folder).start(node)


@app.command()
def down(folder: Folder = DEFAULT) -> None:
    """End all hosts and remove all that the lab was."""
    Lab.found(folder).down()
