"""`python -m tests.clients SUITE [pytest's arguments]`: a suite against both engines, and where they differ.

Exit code 1 when dockerd passes a test that Shoal does not.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.clients import outcomes, workplace
from tests.clients.suites import SUITES, Suite
from tests.support.debian_images import load
from tests.support.engine import Engine
from tests.support.shoal import Shoal
from tools.bench.reference import Dockerd
from tools.images import docker_archive

SECONDS_EACH = 90


@contextmanager
def engine(name: str) -> Iterator[Engine]:
    """A private engine, or the one that runs at `unix:///path`."""
    if name == "dockerd":
        with Dockerd() as dockerd:
            yield Engine(dockerd.host, dockerd.netns)
    elif name == "shoal":
        with Shoal() as shoal:
            yield Engine(shoal.host, shoal.netns)
    else:
        yield Engine(name)


def junit_file(results: Path, name: str) -> Path:
    """Where the outcomes of an engine's run are."""
    return results / f"{name.replace('/', '_')}.xml"


def run(suite: Suite, name: str, tests: Path, results: Path, arguments: Sequence[str]) -> outcomes.Outcomes:
    """Runs the suite where the engine publishes its ports; its output goes to the terminal, a JUnit file to results."""
    junit = junit_file(results, name)
    junit.unlink(missing_ok=True)
    with engine(name) as under_test:
        for image in suite.images:
            under_test.ok("load", input=docker_archive(image))
        for recipe, names in suite.software:
            load(under_test, recipe)
            for each in names:
                under_test.ok("tag", recipe.tags[0], each)
        enter = ["nsenter", f"--net={under_test.netns}"] if under_test.netns else []
        ignored = [f"--ignore={path}" for path in suite.ignores]
        ignored += [f"--deselect={test}" for test in suite.deselects]
        paths = [] if any((tests / each.partition("::")[0]).exists() for each in arguments) else suite.paths
        # The client is the installed one, not the one that came with the tests: their folder is looked into last.
        pytest = ("-P", "-m", "pytest", "--import-mode=append", "--tb=line", "-o", "addopts=", "-p", "no:cacheprovider")
        chosen = (f"--timeout={SECONDS_EACH}", f"--junitxml={junit}", *ignored, *paths, *arguments)
        command = [*enter, str(workplace.python(suite)), *pytest, *chosen]
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "DOCKER_"))}
        environment |= {"DOCKER_HOST": under_test.host, "PYTHONDONTWRITEBYTECODE": "1", **suite.environment}
        subprocess.run(command, cwd=tests, env=environment, stdin=subprocess.DEVNULL, check=False)
    return outcomes.read(junit)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--engine", action="append", help="shoal, dockerd or unix:///path; default: both of the first")
    parser.add_argument("--source", type=Path, help="a checkout with the tests; default: the one on PyPI")
    parser.add_argument("--saved", action="store_true", help="run nothing: compare what earlier runs left in --results")
    parser.add_argument("--results", type=Path, default=Path("/tmp/shoal-clients"), help="folder of the JUnit files")
    chosen, arguments = parser.parse_known_args()
    suite = SUITES[chosen.suite]
    results = chosen.results / chosen.suite
    results.mkdir(parents=True, exist_ok=True)
    engines = chosen.engine or ("dockerd", "shoal")
    if chosen.saved:
        runs = {name: outcomes.read(junit_file(results, name)) for name in engines}
    else:
        tests = (chosen.source or workplace.sources(suite)).resolve()
        runs = {name: run(suite, name, tests, results, arguments) for name in engines}
    table = outcomes.table(runs)
    (results / "table.md").write_text(table)
    print(table)
    behind = outcomes.behind(runs["shoal"], runs["dockerd"]) if {"shoal", "dockerd"} <= runs.keys() else []
    print("\n".join(f"behind dockerd: {test}" for test in behind))
    return 1 if behind else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # engines are swept when it is ended from outside, too
    sys.exit(main())
