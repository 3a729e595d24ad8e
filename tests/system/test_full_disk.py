"""An engine whose state lies on a full disk: nothing new is made, and what is there is left in peace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from shared import hostmounts
from tests.support.engine import IMAGE, Answer, Engine
from tests.support.shoal import Shoal

pytestmark = [pytest.mark.shoal_only, pytest.mark.timeout(240)]
LEFT_BYTES = 8 << 20
"""Less than a new container needs to have, enough for the records of those that are there."""


@pytest.fixture
def shoal() -> Iterator[Shoal]:
    """A running engine whose state folder is a file system of its own."""
    shoal = Shoal()
    state = Path(shoal.settings["SHOAL_STATE_DIR"])
    state.mkdir()
    hostmounts.mount("state", state, "tmpfs", 0, "size=128m")
    with shoal:
        yield shoal


@pytest.fixture
def filler(shoal: Shoal) -> Path:
    """A file on the engine's disk."""
    return Path(shoal.settings["SHOAL_STATE_DIR"]) / "filler"


@pytest.fixture
def engine(shoal: Shoal) -> Engine:
    engine = Engine(shoal.host, shoal.netns)
    engine.load_busybox()
    return engine


def fill(path: Path, left: int) -> None:
    """Takes all the space but so many bytes."""
    with open(path, "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - left)


def test_on_a_full_disk_containers_stop_and_go_and_none_is_made(engine: Engine, filler: Path) -> None:
    for name in ("stopped", "killed", "removed", "again", "stays"):
        engine.start("--name", name, IMAGE, "sh", "-c", "echo said; trap exit TERM; while :; do sleep 0.1; done")
    engine.ok("stop", "again")
    fill(filler, LEFT_BYTES)

    refused = engine.docker("run", "--name", "new", IMAGE, "true")
    assert refused.code == 125
    assert "cannot create a container: No space left on device" in refused.err
    answer = engine.call("POST", "/containers/create", {"Image": IMAGE})
    assert (answer.status, answer.message) == (507, "cannot create a container: No space left on device")
    engine.ok("stop", "stopped")
    engine.ok("kill", "killed")
    engine.ok("rm", "-f", "removed")
    engine.ok("rm", "killed")
    engine.ok("start", "again")
    assert engine.ok("logs", "stays") == "said"
    assert engine.ok("exec", "stays", "echo", "inside") == "inside"
    shown = engine.ok("ps", "--all", "--format", "{{.Names}} {{.State}}").splitlines()
    assert sorted(shown) == ["again running", "stays running", "stopped exited"]

    filler.unlink()
    assert engine.run("--name", "new", IMAGE, "echo", "made") == "made"
    engine.ok("start", "stopped")


def test_when_not_a_byte_is_left_it_goes_on_with_its_reserve_and_then_waits_for_room(
    engine: Engine, filler: Path
) -> None:
    """Its broker, which would take no write any more, is started again, as soon as there is room."""

    def make(name: str) -> Answer:
        return engine.call("POST", "/volumes/create", {"Name": name, "Labels": {"a": "b" * 9000}})

    engine.start("--name", "stays", IMAGE, "sh", "-c", "while :; do sleep 0.1; done")
    reserve = filler.with_name("reserve")
    assert reserve.exists()
    fill(filler, 0)
    answers = [make("one")]
    while reserve.exists():  # what is written first may find room in the last page of a file
        answers.append(make(f"one{len(answers)}"))
    assert make("two").status == 201

    fill(filler, 0)
    refused = next(answer for number in range(100) if (answer := make(f"three{number}")).status != 201)
    assert refused.status in (503, 507)
    filler.unlink()
    assert any(make("four").status == 201 for _ in range(9))
    assert engine.run(IMAGE, "echo", "made") == "made"
    assert engine.ok("ps", "--format", "{{.Names}}") == "stays"


def test_the_engine_starts_without_any_space_and_room_can_be_made_with_it(
    shoal: Shoal, engine: Engine, filler: Path
) -> None:
    for name in ("removed", "stopped"):
        engine.start("--name", name, IMAGE, "sh", "-c", "echo said; trap exit TERM; while :; do sleep 0.1; done")
    shoal.down()
    fill(filler, 0)
    shoal.up()
    assert engine.ok("logs", "stopped") == "said"
    assert engine.call("POST", "/containers/create", {"Image": IMAGE}).status == 507
    engine.ok("stop", "stopped")
    engine.ok("rm", "-f", "removed")
    assert engine.ok("ps", "--all", "--format", "{{.Names}} {{.State}}") == "stopped exited"
    filler.unlink()
    assert engine.run(IMAGE, "echo", "made") == "made"
