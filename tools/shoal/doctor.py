"""`shoal doctor`."""

from __future__ import annotations

from collections.abc import Iterable

import typer

from shared import config
from tools.doctor.findings import Finding, Level

from .options import Config


def command(config_file: Config = None) -> None:
    """Tell what is wrong with this host or engine, and how to mend it.

    Looks at the kernel, the programs, disk space, clashes with other software, and, when the engine runs, whether
    each service answers. Changes nothing. Exit code 1 when something essential is wrong; warnings do not count.
    """
    from tools.doctor import addresses, emulation, engine, kernel, runtimes, storage

    settings = config.load(config_file)
    found = [
        finding
        for module in (kernel, storage, runtimes, emulation, addresses, engine)
        for finding in module.check(settings)
    ]
    print(report(found))
    raise typer.Exit(1 if any(finding.level is Level.WRONG for finding in found) else 0)


def report(found: Iterable[Finding]) -> str:
    """The findings for people: a line each, and the remedy below it where one is needed."""
    lines = []
    for finding in found:
        lines.append(f"{finding.level.value:5}  {finding.subject:16}{finding.text}")
        if finding.remedy:
            lines.append(f"{'':7}{'':16}-> {finding.remedy}")
    return "\n".join(lines)
