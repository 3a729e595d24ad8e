"""Movers as processes, and what is said to them."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from services.platform.adapters import movers, process
from shared.errors import FailedPrecondition
from tests.support.platform_host import until


async def at_once(work: Callable[[], int]) -> int:
    return await asyncio.to_thread(work)


def config(folder: Path, **fields: str) -> dict[str, str]:
    nowhere = {"ticket": "t", "certificates": "/nowhere", "images": str(folder), "log": "", "criu": "/bin/false"}
    return {"side": "target", "host": "127.0.0.1"} | nowhere | fields


async def test_a_mover_answers_and_is_killed(tmp_path: Path) -> None:
    mover = await movers.start(tmp_path, config(tmp_path), at_once)
    assert 0 < (await mover.ask("listening"))["port"] < 65536
    assert not mover.over.done()
    await mover.kill()
    assert mover.over.done()
    await mover.kill()
    assert mover.happened("settled") is None
    assert process.start_time(mover.pid) == 0


async def test_its_failure_is_told(tmp_path: Path) -> None:
    words = {"side": "source", "address": "127.0.0.1:1", "node": "n"}
    mover = await movers.start(tmp_path, config(tmp_path, **words), at_once)
    with pytest.raises(FailedPrecondition, match=r"the transfer between the hosts failed: .*refused"):
        await mover.ask("connected")
    await mover.over
    mover.close()


async def test_one_of_a_platform_before_is_watched_not_asked(tmp_path: Path) -> None:
    child = subprocess.Popen(["sleep", "1000"])  # noqa: ASYNC220
    mover = movers.Mover(child.pid, process.start_time(child.pid), tmp_path)
    with pytest.raises(FailedPrecondition, match="another platform"):
        await mover.ask("listening")
    (tmp_path / "settled").write_text("12")
    child.kill()
    await mover.over
    assert mover.happened("settled") == "12"
    mover.close()
    assert movers.Mover(child.pid, 1, tmp_path).over.done()


async def test_descriptors_get_the_numbers_asked_for(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    pid = movers.spawn(["/bin/sh", "-c", "echo there >&4"], {4: writer, 3: reader})
    os.close(writer)
    assert os.read(reader, 100) == b"there\n"
    os.close(reader)
    process.reap_now(pid)


async def test_who_waits_at_a_fifo_is_told(tmp_path: Path) -> None:
    movers.write_gate(tmp_path, "/criu", "", groups=("/a",))
    fifo = movers.Fifo(tmp_path / "gate")
    reading = subprocess.Popen(["head", "-n1", str(tmp_path / "gate")], stdout=subprocess.PIPE)  # noqa: ASYNC220
    fifo.tell(b"word")
    assert reading.communicate()[0] == b"word\n"
    fifo.close()
    fifo.close()
    movers.remove(tmp_path)
    await until(lambda: not tmp_path.exists())
    movers.remove(tmp_path)
    assert not tmp_path.exists()
