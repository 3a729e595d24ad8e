"""Checks of the programs: toolchain, further runtimes, broker, Python."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from shared.config import Settings
from tools.supervisor import broker
from tools.toolchain.parts import PARTS, Part, Version, show
from tools.toolchain.probe import Finding as Probe
from tools.toolchain.probe import in_prefix, probe

from .findings import Finding, ok, warning, wrong

PYTHON: Version = (3, 11)
SECURITY: Mapping[str, tuple[Version, str]] = {
    "crun": ((1, 27), "CVE-2026-30892"),
    "runc": ((1, 2, 8), "CVE-2025-31133, CVE-2025-52565, CVE-2025-52881"),
}
"""The last release of each runtime that closed a hole, and which."""


def check(settings: Settings) -> Iterator[Finding]:
    """Every program that containers depend on."""
    for found in in_prefix(Path(settings.runtime_prefix), PARTS):
        yield judge_part(found)
        yield from judge_security(found.part.name, found.version)
    for name, program in settings.runtimes.items():
        found = probe(Part(name=name, packages=(), minimum=(0, 0), reason=""), Path(program))
        yield judge_runtime(found, program)
        yield from judge_security(Path(program).name, found.version)
    if not settings.nats_url:
        yield judge_broker(broker.server_version(broker.program()))
    yield judge_python(sys.version_info[:2])


def judge_part(found: Probe) -> Finding:
    """A part of the toolchain."""
    if found.problem:
        return wrong(found.part.name, found.problem, "run deploy/up, which brings a private one")
    return ok(found.part.name, f"{found.version} at {found.path.resolve() if found.path else ''}")


def judge_runtime(found: Probe, program: str) -> Finding:
    """A further runtime of the settings."""
    if found.problem:
        return warning(f"runtime {found.part.name}", f"{program}: {found.problem}", "install it or correct `runtimes`")
    return ok(f"runtime {found.part.name}", f"{found.version} at {program}")


def judge_security(name: str, version: str) -> Iterator[Finding]:
    """Warns of a runtime older than its last security release."""
    if name not in SECURITY or not version:
        return
    safe, holes = SECURITY[name]
    if tuple(int(number) for number in version.split(".")) < safe:
        text = f"{name} {version} is older than {show(safe)}, which closes {holes}"
        yield warning("security", text, f"update {name}, unless your distribution has patched it")


def judge_broker(version: Version) -> Finding:
    """The embedded broker's program."""
    if version >= broker.MINIMUM:
        return ok("nats-server", show(version))
    remedy = "run deploy/up, or set nats_url to a broker of your own"
    return wrong("nats-server", f"none of {show(broker.MINIMUM)} or later", remedy)


def judge_python(version: Version) -> Finding:
    """The interpreter."""
    if version >= PYTHON:
        return ok("python", show(version))
    return wrong("python", f"{show(version)} is older than {show(PYTHON)}", "install a newer Python and run deploy/up")
