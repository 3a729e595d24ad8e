from __future__ import annotations

import asyncio

from shared.bus import answers as module
from shared.bus.answers import Answers


async def work(size: int) -> tuple[bytes, dict[str, str]]:
    return b"x" * size, {}


async def ended(answers: Answers, name: str, size: int = 1, keep: bool = True) -> None:
    task = asyncio.get_running_loop().create_task(work(size))
    answers.add(name, task, keep)
    assert answers.get(name) is task
    await task
    await asyncio.sleep(0)


async def test_what_must_not_be_done_twice_is_kept_and_nothing_else():
    answers = Answers()
    await ended(answers, "kept")
    await ended(answers, "idempotent", keep=False)
    assert answers.get("kept") == (b"x", {})
    assert answers.get("idempotent") is None
    assert answers.get("never") is None


async def test_work_that_was_cancelled_or_failed_is_forgotten():
    async def fail():
        raise RuntimeError

    answers = Answers()
    for name, coroutine in (("failed", fail()), ("cancelled", asyncio.sleep(60))):
        task = asyncio.get_running_loop().create_task(coroutine)
        answers.add(name, task, keep=True)
        if name == "cancelled":
            task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0)
        assert answers.get(name) is None


async def test_the_oldest_answers_go_first(monkeypatch):
    monkeypatch.setattr(module, "MOST", 3)
    answers = Answers()
    for name in "abcd":
        await ended(answers, name)
    assert [name for name in "abcd" if answers.get(name)] == ["b", "c", "d"]


async def test_answers_are_bounded_by_their_bytes(monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    answers = Answers()
    for name, size in (("a", 60), ("b", 30), ("c", 50), ("huge", 1000)):
        await ended(answers, name, size)
        kept = [answers.get(n) for n in ("a", "b", "c", "huge")]
        assert sum(len(each[0]) for each in kept if isinstance(each, tuple)) <= 100


async def test_running_work_is_never_forgotten(monkeypatch):
    monkeypatch.setattr(module, "MOST", 1)
    answers, release = Answers(), asyncio.Event()

    async def wait():
        await release.wait()
        return b"", {}

    running = asyncio.get_running_loop().create_task(wait())
    answers.add("running", running, keep=True)
    for number in range(10):
        await ended(answers, str(number))
    assert answers.get("running") is running
    release.set()
    await running
