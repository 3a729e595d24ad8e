"""The same Dockerfiles built here and by dockerd 20.10: file trees, configurations, histories and errors are equal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.build_corpus import CASES, Case, tree_of
from tests.support.engine import Engine
from tools.bench.reference import Dockerd

pytestmark = [pytest.mark.shoal_only, pytest.mark.timeout(900)]  # the first test waits for all builds
AT_ONCE = 4
FIELDS = (
    "User", "Env", "Cmd", "Entrypoint", "WorkingDir", "Volumes", "ExposedPorts", "Labels", "OnBuild", "StopSignal",
    "Shell", "Healthcheck",
)  # fmt: skip
_DIGEST = re.compile(r"(file|dir|multi):[0-9a-f]{64}")
_LAYER = re.compile(r"^/bin/sh -c #\(nop\) ADD layer .*")


@dataclass(frozen=True)
class Built:
    """What came of a case."""

    error: str
    config: Mapping[str, Any]
    history: tuple[tuple[str, bool], ...]
    tree: Mapping[str, tuple[object, ...]]


def build(engine: Engine, case: Case) -> Built:
    answer = engine.call("POST", case.path, data=case.context, headers={"Content-Type": "application/x-tar"})
    if answer.status != 200:
        return Built(answer.message, {}, (), {})
    last = json.loads(answer.body.splitlines()[-1])
    if "error" in last:
        return Built(last["error"], {}, (), {})
    name = f"corpus-{case.name}"
    image = engine.call("GET", f"/images/{name}/json").json
    history = engine.call("GET", f"/images/{name}/history").json
    said = tuple((_DIGEST.sub(r"\1:*", each["CreatedBy"]), each["Size"] > 0) for each in history)
    layered = image["RootFS"].get("Layers")  # dockerd cannot save an image that has none
    tree = tree_of(engine.call("GET", f"/images/{name}/get").body) if layered else {}
    return Built("", image["Config"], said, tree)


def build_all(engine: Engine) -> dict[str, Built]:
    """All cases, several at once; those on whose images others stand first."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        needed = {case.name: build(engine, case) for case in CASES if case.name == "onbuild"}
        rest = [case for case in CASES if case.name not in needed]
        return {
            **needed,
            **dict(zip((case.name for case in rest), pool.map(lambda each: build(engine, each), rest), strict=True)),
        }


@pytest.fixture(scope="module")
def both(_session_engine: Engine) -> Iterator[tuple[Mapping[str, Built], Mapping[str, Built]]]:
    """What came of all cases: here, and by the reference."""
    with Dockerd() as dockerd, ThreadPoolExecutor(2) as pool:
        reference = Engine(dockerd.host, dockerd.netns)
        reference.load_busybox()
        theirs, ours = pool.submit(build_all, reference), pool.submit(build_all, _session_engine)
        yield ours.result(), theirs.result()
    _session_engine.sweep()
    _session_engine.sweep_images()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_as_dockerd(both: tuple[Mapping[str, Built], Mapping[str, Built]], case: Case) -> None:
    ours, theirs = both[0][case.name], both[1][case.name]
    assert differences(ours, theirs).keys() == case.differs.keys(), differences(ours, theirs)
    assert bool(ours.error) == case.fails


def differences(ours: Built, theirs: Built) -> dict[str, tuple[object, object]]:
    """By what differs: here, there."""
    found: dict[str, tuple[object, object]] = {}
    if ours.error != theirs.error:
        found["error"] = ours.error, theirs.error
    for name in FIELDS:
        if (ours.config.get(name) or None) != (theirs.config.get(name) or None):
            found[f"Config.{name}"] = ours.config.get(name), theirs.config.get(name)
    if ours.history != theirs.history:
        found["history"] = ours.history, theirs.history
    for path in ours.tree.keys() | theirs.tree.keys():
        if ours.tree.get(path) != theirs.tree.get(path):
            found[f"/{path}"] = ours.tree.get(path), theirs.tree.get(path)
    return found
