"""`python -m tools.bench`: engines side by side, with the floor beneath them."""

from __future__ import annotations

import json
import os
import platform
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tools.bench import report
from tools.bench.engine import Engine
from tools.bench.floor_process import FloorError, FloorProcess
from tools.bench.measures import MEASURES, Measure
from tools.bench.processes import ProcessSet, parse
from tools.bench.reference import Dockerd, Podman, ReferenceError
from tools.bench.runner import run
from tools.bench.summary import Series, derive, row

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console(stderr=True)


def pairs(values: list[str], option: str) -> dict[str, str]:
    """NAME=VALUE options as a mapping; refuses anything else."""
    split = [value.partition("=") for value in values]
    wrong = [name for name, sign, value in split if not (name and sign and value)]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]!r} is not NAME=VALUE", param_hint=option)
    return {name: value for name, _, value in split}


def chosen(only: str) -> list[Measure]:
    """The measures named in a comma-separated list; all for an empty one."""
    names = [name.strip() for name in only.split(",") if name.strip()]
    unknown = set(names) - {measure.name for measure in MEASURES}
    if unknown:
        known = ", ".join(measure.name for measure in MEASURES)
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: known are {known}", param_hint="--only")
    return [measure for measure in MEASURES if not names or measure.name in names]


def machine() -> dict[str, object]:
    """On what the figures were taken."""
    return {
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
    }


@app.command()
def bench(
    engine: Annotated[
        list[str] | None, typer.Option(help="An engine: NAME=unix:///path/of/docker.sock; may be repeated.")
    ] = None,
    processes: Annotated[
        list[str] | None,
        typer.Option(
            help="Whose memory counts: NAME=records:GLOB,pidfile:PATH,match:REGEX,pid:N. Default: who listens."
        ),
    ] = None,
    with_reference: Annotated[bool, typer.Option(help="Start a private dockerd and podman beside.")] = False,
    base: Annotated[str, typer.Option(help="Engine that ratios are to; default dockerd, else the last.")] = "",
    only: Annotated[str, typer.Option(help="Measures to take, comma-separated; default all.")] = "",
    rounds: Annotated[
        int, typer.Option(min=0, max=1000, help="At most so many samples; 0: what suits the measure.")
    ] = 0,
    floor: Annotated[bool, typer.Option(help="Measure bare conmon, crun and system calls too.")] = True,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write everything measured to a file.")] = None,
    markdown: Annotated[bool, typer.Option(help="Print the table as Markdown.")] = False,
) -> None:
    """Measure engines that speak the Docker API side by side, and the floor beneath them.

    Example: python -m tools.bench --engine shoal=unix:///run/shoal/docker.sock
    --processes 'shoal=records:/run/shoal/engine/*.json,match:/run/shoal' --with-reference --markdown
    """
    measures = chosen(only)
    with ExitStack() as stack:
        engines = _engines(
            stack, pairs(engine or [], "--engine"), pairs(processes or [], "--processes"), with_reference
        )
        if not engines:
            raise typer.BadParameter("nothing to measure: give --engine or --with-reference", param_hint="--engine")
        for each in engines:
            each.prepare()
        bare = stack.enter_context(FloorProcess()) if floor and any(each.floor for each in measures) else None
        series = derive(run(measures, engines, bare, rounds, console.log))
    _print(series, [each.name for each in engines], base, markdown, json_file)


def _engines(stack: ExitStack, hosts: dict[str, str], sets: dict[str, str], with_reference: bool) -> list[Engine]:
    unknown = set(sets) - set(hosts)
    if unknown:
        raise typer.BadParameter(f"no engine is called {min(unknown)}", param_hint="--processes")
    engines = [Engine(name, host, parse(sets[name]) if name in sets else None) for name, host in hosts.items()]
    for kind in (Dockerd, Podman) if with_reference else ():
        reference = stack.enter_context(kind())
        own = ProcessSet((reference.pid,), str(reference.root))
        engines.append(Engine(reference.name, reference.host, own, disposable=True))
    for each in engines:
        stack.callback(each.close)
    return engines


def _print(series: list[Series], names: list[str], base: str, markdown: bool, json_file: Path | None) -> None:
    base = base or ("dockerd" if "dockerd" in names else names[-1])
    rows = [row(each, names[0], base) for each in series]
    if json_file is not None:
        json_file.write_text(json.dumps(report.document(series, rows, machine()), indent=1) + "\n")
    if markdown:
        print(report.markdown(rows, names, names[0], base), end="")
    else:
        Console(width=180).print(report.table(rows, names, names[0], base))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # engines are swept when it is ended from outside, too
    try:
        app()
    except FloorError as error:
        raise SystemExit(f"floor: {error}") from None
    except ReferenceError as error:
        raise SystemExit(str(error)) from None
