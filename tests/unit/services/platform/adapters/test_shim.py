"""The platform's side of the shim."""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.platform.adapters import shim
from services.platform.adapters.shim import Refused, Request, Shims
from shared.errors import Internal
from tests.support.waiting import until

HELD = int(re.search(r"CapEff:\s+(\w+)", Path("/proc/self/status").read_text())[1], 16)  # type: ignore[index]


class World:
    """Shims, and what they told."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self.codes: dict[str, int] = {}
        self.lost: list[str] = []
        self.shims = Shims(str(folder), self.codes.__setitem__, self.lost.append)

    async def run(self, *args: str, attach: bool = False) -> tuple[str, shim.Started]:
        """A program beside this very process."""
        self.count += 1
        folder = self.folder / str(self.count)
        folder.mkdir()
        spec: dict[str, Any] = {
            "terminal": False, "user": {"uid": 0, "gid": 0}, "args": args, "env": ["PATH=/usr/bin:/bin"], "cwd": "/",
            "noNewPrivileges": False, "rlimits": [], "oomScoreAdj": 0,
        }  # fmt: skip
        (folder / "process.json").write_text(json.dumps(spec))
        own = os.pidfd_open(os.getpid())
        try:
            request = Request(folder=str(folder), capabilities=(HELD, HELD, HELD, 0), attach=attach)
            return str(folder), await self.shims.run(request, own)
        finally:
            os.close(own)

    async def code(self, folder: str) -> int:
        await until(lambda: folder in self.codes)
        return self.codes[folder]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    made.shims.close()


async def test_one_shim_runs_many(world: World) -> None:
    begun = await asyncio.gather(*(world.run("sh", "-c", f"exit {number}") for number in range(5)))
    assert len({started.shim for _, started in begun}) == 1
    assert [await world.code(folder) for folder, _ in begun] == [0, 1, 2, 3, 4]


async def test_descriptors_come_with_the_answer(world: World) -> None:
    folder, started = await world.run("echo", "hi", attach=True)
    await world.code(folder)
    assert [os.read(each, 10) for each in started.descriptors] == [b"hi\n", b""]
    for each in started.descriptors:
        os.close(each)


async def test_a_refusal(world: World) -> None:
    with pytest.raises(Refused) as caught:
        await world.run("no-such-program")
    assert (caught.value.stage, caught.value.number) == ("search", 2)
    assert not world.codes


async def test_a_shim_that_is_killed_is_followed_by_another(world: World) -> None:
    folder, first = await world.run("sleep", "100")
    os.kill(first.shim, signal.SIGKILL)
    await until(lambda: world.lost == [folder])
    os.kill(first.pid, signal.SIGKILL)
    ended, second = await world.run("true")
    assert second.shim != first.shim
    assert await world.code(ended) == 0


async def test_who_waits_for_it_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _, begun = await world.run("true")
    os.kill(begun.shim, signal.SIGSTOP)
    waiting = asyncio.ensure_future(world.run("true"))
    await asyncio.sleep(0)
    os.kill(begun.shim, signal.SIGKILL)
    with pytest.raises(Internal, match="shim"):
        await waiting


async def test_an_idle_shim_is_let_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shim, "IDLE_SECONDS", 0.01)
    busy, _ = await world.run("sh", "-c", "read x")
    folder, begun = await world.run("true")
    await world.code(folder)
    await world.code(busy)
    await until(lambda: not Path(f"/proc/{begun.shim}").exists())
    assert not world.lost
    await world.run("true")


async def test_one_that_told_begin_and_end_at_once_is_idle(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shim, "IDLE_SECONDS", 0.01)
    receive = shim._Shim._receive

    def both(self: shim._Shim) -> None:
        receive(self)
        select.select([self._control], [], [])
        receive(self)

    monkeypatch.setattr(shim._Shim, "_receive", both)
    folder, begun = await world.run("true")
    assert world.codes == {folder: 0}
    await until(lambda: not Path(f"/proc/{begun.shim}").exists())


async def test_one_that_refused_its_last_is_idle(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shim, "IDLE_SECONDS", 0.01)
    with pytest.raises(Refused):
        await world.run("no-such-program")
    await until(lambda: world.shims._shim is None)


async def test_what_runs_goes_on_when_it_is_let_go(world: World) -> None:
    folder, begun = await world.run("sh", "-c", "sleep 0.1; exit 3")
    world.shims.close()
    await until(lambda: not Path(f"/proc/{begun.shim}").exists())
    assert Path(folder, "exit").read_text() == "3"
