"""`python -m tools.docker_api`: long checks of an engine through its Docker API.

They run where `shoal` runs, with the engine's settings (SHOAL_*, or the settings file).
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from shared import config

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)
console = Console(highlight=False, soft_wrap=True)


@app.command()
def cycle(
    times: Annotated[int, typer.Option(help="How many containers live and die.")] = 1000,
    warm: Annotated[int, typer.Option(help="Cycles before the first count.")] = 50,
    image: Annotated[str, typer.Option(help="An image with sleep and echo.")] = "busybox",
) -> None:
    """Repeat a container's whole life and compare what the engine holds before and after.

    Exit code 1 when memory, descriptors, mounts, namespaces, links, firewall rules, control groups, files or
    records are left behind.
    """
    from tools.docker_api.cycle import run

    outcome = run(config.load(), image, times, warm)
    for name, count in outcome.after.items():
        console.print(f"{name:40} {outcome.before.get(name, 0):9} {count:9}")
    console.print(f"{outcome.times} cycles in {outcome.seconds:.1f} s")
    for leak in outcome.leaks:
        console.print(f"LEAK {leak}")
    raise typer.Exit(1 if outcome.leaks else 0)


@app.command()
def generate(
    requests: Annotated[int, typer.Option(help="How many requests.")] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same requests.")] = 1,
    first: Annotated[int, typer.Option(help="Number of the first request.")] = 0,
    census: Annotated[bool, typer.Option(help="Also compare what the engine holds before and after.")] = True,
) -> None:
    """Send requests that are made from the swagger files, and judge the answers.

    The engine must be there for nothing else: what it holds is removed at the end, but for the image busybox.
    Exit code 1 for a 5xx that README does not list, a hang, an answer that is not as the swagger has it, or a leak.
    """
    from tools.docker_api import session

    outcome = session.run(config.load(), seed, range(first, first + requests), census)
    for line in outcome.lines():
        console.print(line, markup=False)
    raise typer.Exit(1 if outcome.failed else 0)


if __name__ == "__main__":
    app()
